"""The command line: `ropeway queue`, `send`, `receive`, `ping`, `completion`.

Rule 1: answers go to standard output, everything else to standard error. Rule 2: a terminal gets tables and
colour; a pipe gets tab-separated lines, or JSON lines, that never change with the terminal, locale or width.
Rule 3: a message counts as received when it is written out; whatever ends the command before that, the
message goes back to its queue. Rule 4: rich is imported only where something is drawn.
"""
