"""The throughput harness: what this machine can do with durable messages, and what Ropeway makes of it.

Absolute figures of two machines, or of two days, cannot be compared: the disk and the neighbours decide them.
So every scenario runs the bare loop (bareloop.py) beside the daemon, in alternating rounds of the same
minutes, and its result is the ratio of the two. It also shows that nothing was lost or doubled, and how busy
the load was, for a figure that the load has limited says nothing about a server.

    bareloop.py    the yardstick: the least that a durable broker of this shape can do
    wire.py        the two protocols as the load speaks them
    load.py        one process of producers or consumers
    contestants.py starts the servers on fresh data directories
    match.py       one round of one workload against one server: load, window, verification
    figures.py     medians, spreads, ratios, checks
    machine.py     what the figures depend on
    report.py      JSON, tables and plain lines
    scenarios/     what is run, with which sizes, and which targets it is held to
"""
