"""docs/protocol.md says what the daemon does: each conversation in it is played with a real one."""

import socket
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.protocols.conversation import Conversation, Player, read, tokens, write

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
CONVERSATIONS = read(TEXT)


def titles(conversation: Conversation) -> str:
    return conversation.title


def test_there_are_conversations() -> None:
    assert len(CONVERSATIONS) >= 6
    assert write(TEXT) == TEXT


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=titles)
def test_the_bytes_of_each_frame_are_its_value(conversation: Conversation) -> None:
    for frame in conversation.frames:
        assert frame.tokens == tokens(frame.value), frame.shown


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=titles)
def test_the_daemon_speaks_as_it_is_written(conversation: Conversation, tmp_path: Path) -> None:
    environ = {"ROPEWAY_KEYS_SECRETS": ":".join(conversation.key)} if conversation.key else {}
    with Daemon(tmp_path, environ=environ), socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(60)
        wire.connect(str(tmp_path / "socket"))
        with wire.makefile("rb") as stream:

            def take() -> bytes:
                length = stream.read(4)
                return length + stream.read(int.from_bytes(length, "big"))

            Player(conversation, take, wire.sendall).play()
            if conversation.closes:
                assert stream.read() == b""


def test_a_conversation_that_is_not_so_is_noticed(tmp_path: Path) -> None:
    lie = Conversation("a lie", None, [*CONVERSATIONS[0].frames])
    lie.frames[2] = CONVERSATIONS[0].frames[4]
    frames = iter(b"\0\0\0\1\x01" for _ in lie.frames)
    with pytest.raises(AssertionError, match="a lie"):
        Player(lie, lambda: next(frames), lambda data: None).play()
