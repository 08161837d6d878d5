"""`ropeway topic`, against the real daemon."""

import json

from tests.cli.conftest import Cli, line
from tests.daemon import PATIENCE


def test_what_is_published_reaches_the_queues(cli: Cli) -> None:
    arn = "arn:aws:sns:us-east-1:000000000000:news"
    assert cli.ok("topic", "create", "news", "--display-name", "News") == f"news\t{arn}\n"
    readers, sports = cli.queue(), cli.queue()
    first = cli.ok("topic", "subscribe", "news", readers).strip()
    policy = '{"kind": ["sport"]}'
    second = json.loads(cli.ok("topic", "subscribe", "news", sports, "--raw", "--filter", policy, "--json"))
    assert first.startswith(f"{arn}:")
    kind = ("--attribute", "kind=String:sport")
    message = cli.ok("topic", "publish", "news", "goal", "--subject", "S", *kind).strip()
    cli.run("topic", "publish", "news", "-", stdin=b"rain")
    told = json.loads(cli.ok("receive", readers, "--delete"))
    assert (told["MessageId"], told["Subject"], told["Message"]) == (message, "S", "goal")
    assert json.loads(cli.ok("receive", readers, "--delete"))["Message"] == "rain"
    assert cli.ok("receive", sports, "--delete").strip() == "goal"

    assert "news\t2\n" in cli.ok("topic", "list")
    shown = json.loads(cli.ok("topic", "show", "news", "--json"))
    assert (shown["arn"], shown["display_name"], shown["confirmed"]) == (arn, "News", 2)
    by_endpoint = {each["endpoint"].rpartition(":")[2]: each for each in shown["subscriptions"].values()}
    assert (by_endpoint[sports]["delivered"], by_endpoint[sports]["filtered"]) == (1, 1)
    assert second["subscription"] == by_endpoint[sports]["subscription"]
    assert f"arn\t{arn}\n" in cli.ok("topic", "show", "news")

    cli.ok("topic", "unsubscribe", first)
    assert "news\t1\n" in cli.ok("topic", "list", "ne")
    cli.ok("topic", "delete", "news")
    assert "news" not in cli.ok("topic", "list")


def test_listening_prints_what_is_published(cli: Cli) -> None:
    cli.ok("topic", "create", "radio")
    listening = cli.start("topic", "listen", "radio", "--max", "2", "--filter", '{"kind": ["sport"]}')
    while "radio\t1\n" not in cli.ok("topic", "list", "radio"):
        pass
    for kind in ("weather", "sport", "sport"):
        cli.ok("topic", "publish", "radio", kind, "--attribute", f"kind=String:{kind}")
    assert [line(listening), line(listening)] == [b"sport\n", b"sport\n"]
    assert listening.wait(PATIENCE) == 0
    assert "radio\t0\n" in cli.ok("topic", "list", "radio")


def test_an_archive_is_replayed(cli: Cli) -> None:
    cli.ok("topic", "create", "kept.fifo", "--fifo", "--content-based-deduplication", "--archive-days", "3")
    cli.ok("topic", "publish", "kept.fifo", "early", "--group", "g")
    cli.make("shop.fifo", fifo=True)
    shop = "shop.fifo"
    arn = cli.ok("topic", "subscribe", "kept.fifo", shop, "--raw").strip()
    said = cli.ok("topic", "replay", "kept.fifo", shop, "--from", "2020-01-01T00:00Z")
    assert said.strip() == arn
    assert cli.ok("receive", shop, "--delete", "--wait", "60s") == "early\n"
    done = cli.run("topic", "replay", "kept.fifo", "nobody", "--from", "2020-01-01")
    assert done.returncode == 1
    assert b"has no subscription nobody" in done.stderr
    assert cli.run("topic", "replay", "kept.fifo", shop, "--from", "soon").returncode == 2


def test_what_is_refused_is_told_with_its_code(cli: Cli) -> None:
    done = cli.run("topic", "publish", "nowhere", "x")
    assert done.returncode == 1
    first, second = done.stderr.decode().splitlines()
    assert first == "ropeway: NotFound: There is no topic 'nowhere'."
    assert "ropeway topic list" in second
    cli.ok("topic", "create", "picky")
    done = cli.run("topic", "subscribe", "picky", "q", "--filter", '{"a": []}')
    assert done.returncode == 1
    assert "Empty arrays are not allowed" in done.stderr.decode()
    done = cli.run("topic", "subscribe", "picky", "ftp://x")
    assert done.returncode == 1
    assert "field endpoint" in (said := done.stderr.decode())
    assert "'ftp://x'" in said
    assert "up to 80" in said
    cli.ok("topic", "create", "order.fifo", "--fifo", "--content-based-deduplication")
    cli.ok("topic", "publish", "order.fifo", "x", "--group", "g")


def test_deliveries_are_shown_and_followed(cli: Cli) -> None:
    cli.ok("topic", "create", "log")
    assert cli.ok("topic", "deliveries", "log") == ""
    cli.ok("topic", "subscribe", "log", "nowhere")
    message = cli.ok("topic", "publish", "log", "x").strip()
    at, *fields = cli.ok("topic", "deliveries", "log", "--failed").rstrip("\n").split("\t")
    endpoint = "arn:aws:sqs:us-east-1:000000000000:nowhere"
    assert fields == ["failed", "-", "0", "1", "sqs", endpoint, message, "there is no such queue"]
    assert at.endswith("Z")

    following = cli.start("topic", "deliveries", "log", "--follow", "--json", "--max", "1")
    seen = json.loads(line(following))
    assert (seen["message_id"], seen["outcome"], seen["code"], seen["at"]) == (message, "failed", None, at)
    later = cli.ok("topic", "publish", "log", "y").strip()
    assert json.loads(line(following))["message_id"] == later
    following.terminate()
    following.wait(PATIENCE)
    assert len(cli.ok("topic", "deliveries", "log").splitlines()) == 2
    assert len(cli.ok("topic", "deliveries", "log", "--max", "1").splitlines()) == 1
    assert cli.run("topic", "deliveries", "none").returncode == 1


def test_on_a_terminal_deliveries_are_a_table_with_colours(cli: Cli) -> None:
    cli.ok("topic", "create", "shown")
    cli.ok("topic", "subscribe", "shown", "nowhere")
    cli.ok("topic", "publish", "shown", "x")
    terminal = cli.terminal("topic", "deliveries", "shown")
    assert terminal.wait() == 0
    said = terminal.shown
    assert "TIME" in said.splitlines()[0]
    assert "\x1b[31mfailed" in said
    assert "sqs arn:aws:sqs:us-east-1:000000000000:nowhere" in said
    plain = cli.terminal("topic", "deliveries", "shown", environ={"NO_COLOR": "1"})
    assert plain.wait() == 0
    assert "failed" in plain.shown
    assert "\x1b[" not in plain.shown
