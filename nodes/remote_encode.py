"""A prompt encoded on another machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.errors import ModelError, RemoteError
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Keep, Node
from limner.nodes._long_text import LONG_TEXT
from limner.nodes._prompt_warnings import odd_prompt
from limner.nodes._remote.identity import KnownModels
from limner.nodes._remote.protocol import HUGGINGFACE_TOKENS, IDENTITY_PATTERN, MAX_TOKENS, EncodeRequest
from limner.nodes._remote.token import HOSTS_ENV, find_token, may_be_private, token_faults
from limner.nodes._remote.url import url_faults
from limner.nodes.sizes import PromptSize
from limner.nodes.values import Conditioning

if TYPE_CHECKING:
    from limner.nodes._flux2.encoded import Cuts
    from limner.nodes._remote.call import Service

T = TypeVar("T")

FINGERPRINT_TIMEOUT_S: Final = 10.0
"""How long the beginning of a run waits to hear which model is there."""

_known_models = KnownModels()


class RemoteEncode(Node):
    """Turn a prompt into a conditioning on another machine, which then needs no room here for the text encoder.

    The other machine runs ``limner serve-encoder``, and the result equals that of TextEncode there to the bit. What it
    encodes with is part of the cache key: by ``expect``, or by asking. With ``huggingface`` it is Hugging Face's remote
    encoder of FLUX.2 dev, which does not say what it encodes with: there, the address stands for the model.
    """

    category: ClassVar[str] = "text"
    aliases: ClassVar[tuple[str, ...]] = ("CLIPTextEncode", "remote text encoder")
    advanced: ClassVar[frozenset[str]] = frozenset(
        {"max_length", "expect", "protocol", "timeout_s", "retries", "allow_private", "token_env", "token_file"}
    )
    keep: ClassVar[Keep] = "disk"
    only_for_run: ClassVar[frozenset[str]] = frozenset({"prompt", "negative_prompt"})
    not_in_key: ClassVar[frozenset[str]] = frozenset(
        {"url", "expect", "timeout_s", "retries", "allow_private", "token_env", "token_file"}
    )

    url: str = Field(
        min_length=1, max_length=2000, description="Where the encoder is: https://encoder.example.org, without a path."
    )
    prompt: str = Field(
        default="", description="What the picture shows, in words or as JSON.", json_schema_extra=LONG_TEXT
    )
    negative_prompt: str = Field(
        default="",
        description="What it must not show. Only klein base models read it, at a guidance above 1.",
        json_schema_extra=LONG_TEXT,
    )
    max_length: int | None = Field(
        default=None, ge=1, le=MAX_TOKENS, description="Tokens; a longer prompt is cut. Empty: the model's own (512)."
    )
    expect: str | None = Field(
        default=None,
        pattern=IDENTITY_PATTERN,
        description="The identity of the model that must be there, as limner serve-encoder prints it. With it, what "
        "was encoded before is used without asking the encoder.",
    )
    protocol: Literal["limner", "huggingface"] = Field(
        default="limner",
        description="limner: limner serve-encoder. huggingface: the form of Hugging Face's public endpoint.",
    )
    timeout_s: float = Field(default=120.0, ge=1, le=3600, description="Seconds to wait altogether, retries included.")
    retries: int = Field(
        default=4, ge=0, le=20, description="Further tries when the line breaks or the encoder is busy."
    )
    allow_private: bool = Field(
        default=False, description="Let it be on this machine or in a private network, and http:// with that."
    )
    token_env: str | None = Field(
        default=None,
        description="The environment variable that holds the token: LIMNER_TOKEN, LIMNER_TOKEN_..., HF_TOKEN. Empty: "
        "LIMNER_TOKEN for private addresses and hosts in LIMNER_ENCODERS, HF_TOKEN for huggingface.co, if it is set.",
    )
    token_file: str | None = Field(
        default=None, min_length=1, description="A file that holds the token alone; its name ends in .token."
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """Addresses and tokens that are never used, and settings that the protocol does not know."""
        for message in url_faults(self.url, allow_private=self.allow_private):
            yield "url", message
        if self.allow_private and not may_be_private(self.url):
            yield "allow_private", f"is for hosts that the server lists in {HOSTS_ENV}"
        yield from token_faults(self.token_env, self.token_file, self.url)
        if self.protocol == "huggingface":
            if self.max_length is not None:
                yield "max_length", "the Hugging Face form knows none: it always encodes 512 tokens"
            if self.expect is not None:
                yield "expect", "the Hugging Face form does not say which model encodes"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """Nothing here but the conditioning, whose length is known where a setting or the protocol says it."""
        tokens = HUGGINGFACE_TOKENS if self.protocol == "huggingface" else self.max_length
        return Forecast(outputs=(None if tokens is None else PromptSize(tokens),), note="encoded elsewhere")

    def fingerprint(self) -> str:
        """What encodes. Asks the encoder, unless ``expect`` says it. Raises RemoteError, InputError."""
        if self.protocol == "huggingface":
            return f"huggingface {self.url}"
        identity = self.expect or _known_models.get(self.url)
        if identity is None:
            identity = _wait_for(self._ask_identity)
            _known_models.put(self.url, identity)
        return identity

    def sources(self) -> Mapping[str, str]:
        """The model that encodes, by its identity. Raises RemoteError, InputError."""
        return {"encoder": self.fingerprint()}

    async def run(self, ctx: Context) -> Conditioning:
        """Have the prompt encoded, and the negative one where the model uses it."""
        for message in odd_prompt(self.prompt):
            ctx.warn(message)
        conditioning, cuts = await self._retried(lambda: self._encode(self._service()), self.timeout_s, ctx.warn)
        for (name, text), cut in zip(self._texts(), cuts, strict=False):
            if cut is not None:
                ctx.warn(cut.sentence(text, name))
        if self.negative_prompt and conditioning.negative is None:
            ctx.warn("this model uses no negative prompt: it is ignored")
        return conditioning

    def _texts(self) -> tuple[tuple[str, str], ...]:
        """What a service may cut, in the order of its answer."""
        return (("prompt", self.prompt), ("negative prompt", self.negative_prompt))

    async def _encode(self, service: Service) -> tuple[Conditioning, Cuts]:
        """The conditioning, and what was not read, as far as the service says it."""
        if self.protocol == "huggingface":
            from limner.nodes._remote.huggingface import ask_embedding

            return await ask_embedding(service, self.prompt), ()
        from limner.nodes._remote.encoder import ask_encoding, ask_model

        model = await ask_model(service)
        self._check_identity(model.identity)
        request = EncodeRequest(prompts=[self.prompt], negative_prompt=self.negative_prompt, max_length=self.max_length)
        return await ask_encoding(service, model, request)

    def _check_identity(self, identity: str) -> None:
        """Raise ModelError where the service has another model than the key of this run says."""
        expected = self.expect or _known_models.get(self.url)
        _known_models.put(self.url, identity)
        if expected not in (None, identity):
            hint = "another model encodes there now: run again"
            if self.expect is not None:
                hint = "if that is the right one, expect it; leave expect empty to take whatever is there"
            raise ModelError(f"{self.url} encodes with {identity}, and {expected} is expected", hint=hint)

    async def _ask_identity(self) -> str:
        from limner.nodes._remote.encoder import ask_model

        timeout_s = min(self.timeout_s, FINGERPRINT_TIMEOUT_S)
        try:
            model = await self._retried(lambda: ask_model(self._service()), timeout_s, lambda message: None)
        except RemoteError as error:
            hint = "is it running? with its identity in expect, what it encoded before is used without asking it"
            raise RemoteError(error.message, hint=hint) from None
        return model.identity

    async def _retried(
        self, attempt: Callable[[], Coroutine[Any, Any, T]], timeout_s: float, on_retry: Callable[[str], None]
    ) -> T:
        from limner.nodes._remote.retry import with_retries

        return await with_retries(
            attempt,
            retries=self.retries,
            timeout_s=timeout_s,
            what=self.url,
            on_retry=lambda message: on_retry(f"{message}; trying again"),
        )

    def _service(self) -> Service:
        from limner.nodes._remote.call import Service

        return Service(self.url, self.allow_private, find_token(self.token_env, self.token_file, self.url))


def _wait_for(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The outcome of a coroutine, run in a thread of its own: the caller's may have a loop that runs."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(ask())).result()
