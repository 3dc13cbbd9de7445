"""Tokens go where they are meant to go, whatever a graph says."""

from __future__ import annotations

import pytest

from limner.nodes._remote.token import find_token, token_faults

HUB = [
    "https://huggingface.co",
    "https://remote-text-encoder-flux-2.huggingface.co/predict",
    "HTTPS://HuggingFace.co",
]
NOT_HUB = [
    "https://of-anybody.us-east-1.aws.endpoints.huggingface.cloud",
    "https://huggingface.cloud",
    "https://nothuggingface.co",
    "https://huggingface.co.example.org",
    "http://huggingface.co",
]


@pytest.fixture(autouse=True)
def _tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "of-the-hub")
    monkeypatch.setenv("LIMNER_TOKEN", "of-limner")
    monkeypatch.delenv("LIMNER_ENCODERS", raising=False)


def sent(url: str, token_env: str | None = None) -> str | None:
    token = find_token(token_env, None, url)
    return None if token is None else token.get_secret_value()


@pytest.mark.parametrize("url", HUB)
def test_the_hub_gets_its_token(url: str) -> None:
    """Unasked, and named."""
    assert sent(url) == sent(url, "HF_TOKEN") == "of-the-hub"
    assert list(token_faults("HF_TOKEN", None, url)) == []


@pytest.mark.parametrize("url", NOT_HUB)
def test_nobody_else_gets_the_token_of_the_hub(url: str) -> None:
    """Neither endpoints that anybody may run, nor names that look like the hub's."""
    assert sent(url) != "of-the-hub"
    assert [setting for setting, _ in token_faults("HF_TOKEN", None, url)] == ["token_env"]


@pytest.mark.parametrize("url", NOT_HUB)
def test_an_endpoint_gets_the_token_that_is_named_for_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_TOKEN_OF_IT", "its-own")
    assert list(token_faults("LIMNER_TOKEN_OF_IT", None, url)) == []
    assert sent(url, "LIMNER_TOKEN_OF_IT") == "its-own"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8765",
        "https://127.0.0.1",
        "https://localhost:8765",
        "https://[::1]",
        "https://10.1.2.3",
        "https://[fd00::1]",
        "http://gpu-box:8765",
    ],
)
def test_a_private_address_gets_the_token_unasked(url: str) -> None:
    """So does any name over plain http, which is never connected to another address."""
    assert sent(url) == sent(url, "LIMNER_TOKEN") == "of-limner"
    assert list(token_faults("LIMNER_TOKEN", None, url)) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://of-anybody.example",
        "https://8.8.8.8",
        "https://[2001:4860:4860::8888]",
        "https://[::ffff:8.8.8.8]",
        "https://localhost.example",
        "https://encoder.example.org.evil.example",
        "https://169.254.169.254",
    ],
)
def test_a_public_address_gets_it_only_where_the_user_lists_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph of somebody else cannot name itself the receiver."""
    monkeypatch.setenv("LIMNER_ENCODERS", "encoder.example.org, ")
    assert sent(url) is None
    assert [setting for setting, _ in token_faults("LIMNER_TOKEN", None, url)] == ["token_env"]


@pytest.mark.parametrize("listed", ["encoder.example.org", "gpu-box, Encoder.Example.org", "encoder.example.org,"])
def test_a_listed_host_gets_the_token(listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In capitals or not, among others or alone; its subdomains are other hosts."""
    monkeypatch.setenv("LIMNER_ENCODERS", listed)
    assert sent("https://encoder.EXAMPLE.org:8443") == "of-limner"
    assert list(token_faults("LIMNER_TOKEN", None, "https://encoder.example.org")) == []
    assert sent("https://a.encoder.example.org") is None
