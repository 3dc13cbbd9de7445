"""Clients and their tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.engine.errors import InputError
from limner.server.clients import Client, client_line, read_clients


def test_each_token_is_one_client(tmp_path: Path) -> None:
    """Of the lines of a file each names one client; a wrong token names nobody."""
    path = tmp_path / "tokens"
    lines = [client_line(Client("anna"), "t1"), "", "# a remark", client_line(Client("ops", is_admin=True), "t2")]
    path.write_text("\n".join(lines))
    clients = read_clients(path)
    assert clients.find("t1") == Client("anna")
    assert clients.find("t2") == Client("ops", is_admin=True)
    for wrong in ("", "t", "t11", "anna", "é", "\udc80"):
        assert clients.find(wrong) is None
    assert "t1" not in path.read_text().split()


def test_a_token_alone_may_do_everything(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token\n")
    found = read_clients(tmp_path / "token").find("a-token")
    assert found is not None
    assert found.is_admin


@pytest.mark.parametrize(
    "text",
    ["", "\n#\n", "anna token\n", "anna sha256:abc\n", "a b c d", "anna sha256:" + "0" * 64 + " root\n", "\xff", "é"],
)
def test_a_file_that_is_wrong_is_never_quoted(tmp_path: Path, text: str) -> None:
    """What may be a token is in no message."""
    path = tmp_path / "tokens"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError) as error:
        read_clients(path)
    assert "anna" not in str(error.value).replace(str(path), "")


def test_two_clients_have_two_tokens(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"{client_line(Client('anna'), 'same')}\n{client_line(Client('bert'), 'same')}\n")
    with pytest.raises(InputError, match="line 2"):
        read_clients(path)
