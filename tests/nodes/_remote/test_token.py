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
