"""The tokenizer: whole words and hex bytes, stock ``tokenizers`` parts only.

One word is one token, known or not, so a long unknown word costs no more room than a short one.
A hex code is three tokens that say which byte they are: ``#367588`` -> ``#36``, ``G75``, ``B88``.
Quotes, brackets, articles and the keys that only frame a JSON prompt are dropped: plain and JSON prompts
then look alike to the encoder.
"""

import re

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from limner.tiny import words
from limner.tiny.colors import NAMED, SYNONYMS

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
# The template appends these after every prompt; the encoder learns to sum up the prompt in them.
SUMMARIES = ("<background>", "<first>", "<second>", "<task>")
TEMPLATE = (
    "{% for m in messages %}<s>{{ m['content'] if m['content'] is string else m['content'][0]['text'] }}{% endfor %}"
    "</s>" + "".join(SUMMARIES)
)
MAX_LENGTH = 40

HEX = "[0-9a-f]{2}"
EXTRA_WORDS = """
    image 1 2 3 4 5 6 7 8 9 10 background color colored colour palette position location side corner object
    thing shape scene make change replace swap turn into put move moved give with that is
    for from next and on in at of to 128 64 style mood lighting camera composition prompt no not none dotted ; sized
    photo centered illustration left right top bottom upper lower middle center centre disc dot line lines stripes
    stripe outline border dashed checkered gradient oval rectangle pentagon hexagon arrow spiral cube sphere bordered
"""


def vocabulary() -> list[str]:
    """Every token, in the order of its id."""
    bytes_ = [f"{channel}{value:02x}" for channel in "#GB" for value in range(256)]
    groups = (words.SHAPE_WORDS, words.SIZE_WORDS, words.TEXTURE_WORDS, words.PLACE_WORDS)
    spoken = [phrase for group in groups for phrases in group.values() for phrase in phrases]
    text = " ".join([*NAMED, *SYNONYMS, *spoken, *words.OPENINGS, *words.CLOSINGS, EXTRA_WORDS, *words.FILLERS])
    known = dict.fromkeys(re.findall(r"[a-z]+|[0-9]+|;", text))
    return [*SPECIAL, *SUMMARIES, *bytes_, *known]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer as a stock fast tokenizer with a chat template, as the klein pipeline expects."""
    ids = {token: i for i, token in enumerate(vocabulary())}
    core = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    core.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            # Mark the second and the third byte of a hex code, so that each byte is a token of its own kind.
            normalizers.Replace(Regex(rf"(?<=#{HEX})(?={HEX}{HEX}(?![0-9a-z]))"), " G"),
            normalizers.Replace(Regex(rf"(?<=#{HEX} G{HEX})(?={HEX}(?![0-9a-z]))"), " B"),
            # The end of a JSON object parts one subject from the next; other marks say nothing.
            normalizers.Replace(Regex(r"\}"), " ; "),
            normalizers.Replace(Regex(r"""["'`{\[\]:,._()!?/\\*&%+=|~^-]+"""), " "),
            normalizers.Replace(Regex(r"\b(a|an|the|subjects?|objects|description)\b"), " "),
        ]
    )
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # as transformers has it
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=list(SUMMARIES),
        model_max_length=512,
        # A prompt that is too long loses its beginning, never the summary tokens at its end.
        truncation_side="left",
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def wrap(prompt: str) -> str:
    """Give what the chat template makes of a prompt."""
    return f"<s>{prompt}</s>{''.join(SUMMARIES)}"
