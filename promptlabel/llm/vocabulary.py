"""A model's own vocabulary, read from its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from promptlabel.errors import Fault, InputError
from promptlabel.llm.scoring import Tokens

if TYPE_CHECKING:
    import tokenizers


class Vocabulary:
    """A model's own vocabulary, by which text becomes the tokens that its server would make of it."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path, key: str) -> Vocabulary:
        """The vocabulary in a ``tokenizer.json`` or the folder that holds one; control tokens in texts are text.

        Raises:
            InputError: there is none, named by its `key` in the configuration.
        """
        from tokenizers import Tokenizer

        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # noqa: BLE001 - the library raises plain Exceptions
            raise InputError(Fault(f"{file} is no tokenizer.json: {error}", key=key)) from None
        tokenizer.encode_special_tokens = True
        return cls(tokenizer)

    def __call__(self, text: str, *, beginning: bool = False) -> Tokens:
        """The text's tokens, after the model's own opening token at the `beginning` of a text."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=beginning).ids)

    def text(self, tokens: Tokens) -> str:
        """The text that the tokens stand for, control tokens too."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False))
