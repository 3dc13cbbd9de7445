"""What files call the nodes of a canvas."""

from __future__ import annotations

from limner.comfy.own_ids import own_ids


def test_what_is_new_is_called_after_its_type() -> None:
    """With a number where the name is taken, also by a node that comes later."""
    types = {"1": "Denoise", "2": "ComfyVAEDecode", "3": "Denoise", "4": "Denoise"}
    assert own_ids(types, {"3": "denoise"}) == {"1": "denoise_2", "2": "vae_decode", "3": "denoise", "4": "denoise_3"}


def test_of_two_that_say_the_same_the_older_keeps_it() -> None:
    """A copy in the editor has the properties of what it is a copy of, and a larger number."""
    types = {"10": "Text", "9": "Text"}
    assert own_ids(types, {"10": "words", "9": "words"}) == {"10": "text", "9": "words"}


def test_what_can_be_no_id_does_not_count() -> None:
    """A property can be edited by hand, to anything."""
    assert own_ids({"1": "Text", "2": "Text"}, {"1": "a b", "2": "x" * 300}) == {"1": "text", "2": "text_2"}
