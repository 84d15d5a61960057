"""A provider's batches, through LiteLLM: file up, batch made, state asked, files down; one request each, no retries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

from promptlabel.errors import ModelError
from promptlabel.llm.batches import VERSION, BatchState
from promptlabel.llm.translated import failure, load_litellm

Result = TypeVar("Result")

PROVIDERS: Final = frozenset({"openai", "hosted_vllm"})
"""Those whose batches LiteLLM can make, list and read, and whose answers are OpenAI-shaped."""

_NAME: Final = "promptlabel"
"""The key of our name in a batch's metadata."""

_PAGE: Final = 100
_RUNNING: Final = frozenset({"validating", "in_progress", "finalizing", "cancelling"})


class ProviderBatches:
    """The batches of one account.

    Args:
        provider: LiteLLM's name of it.
        base: its address; LiteLLM would else take OpenAI's for any provider.
        key: its key.
        timeout: seconds for one request.
    """

    def __init__(self, provider: str, base: str, key: str, timeout: float) -> None:
        self._common: dict[str, Any] = {
            "custom_llm_provider": provider,
            "api_base": base,
            "api_key": key,
            "timeout": timeout,
            "max_retries": 0,
        }
        self._litellm: ModuleType | None = None

    async def submit(self, name: str, file: Path, path: str) -> str:
        """See `BatchRunner.submit`."""
        litellm = await self._loaded()
        content = (file.name, await asyncio.to_thread(file.read_bytes))
        uploaded = await _typed(litellm.acreate_file(file=content, purpose="batch", **self._common))
        made = await _typed(
            litellm.acreate_batch(
                completion_window="24h",
                endpoint=VERSION + path,
                input_file_id=uploaded.id,
                metadata={_NAME: name},
                **self._common,
            )
        )
        return str(made.id)

    async def find(self, name: str) -> str | None:
        """See `BatchRunner.find`: looks through all batches of the account for the name."""
        litellm = await self._loaded()
        after: str | None = None
        while True:
            page = await _typed(litellm.alist_batches(after=after, limit=_PAGE, **self._common))
            for batch in page.data:
                if (batch.metadata or {}).get(_NAME) == name:
                    return str(batch.id)
            if not page.data or not getattr(page, "has_more", False):
                return None
            after = page.data[-1].id

    async def state(self, batch: str) -> BatchState:
        """See `BatchRunner.state`; a batch that says it is done before its files are there is not."""
        litellm = await self._loaded()
        found = await _typed(litellm.aretrieve_batch(batch_id=batch, **self._common))
        files = tuple(file for file in (found.output_file_id, found.error_file_id) if file)
        counts = found.request_counts
        done = (counts.completed + counts.failed) if counts else 0
        if found.status in _RUNNING or (done and not files):
            return BatchState("running", done)
        if found.status == "failed" and not files:
            return BatchState("refused", message=_reasons(found))
        return BatchState("ended", done, files, str(found.status))

    async def fetch(self, file: str) -> bytes:
        """See `BatchRunner.fetch`."""
        litellm = await self._loaded()
        received = await _typed(litellm.afile_content(file_id=file, **self._common))
        return bytes(received.content)

    async def close(self) -> None:
        """See `BatchRunner.close`."""
        if self._litellm is not None:
            await self._litellm.close_litellm_async_clients()

    async def _loaded(self) -> ModuleType:
        if self._litellm is None:
            self._litellm = await asyncio.to_thread(load_litellm)
        return self._litellm


async def _typed(call: Awaitable[Result]) -> Result:
    """The call's result, its errors as ours."""
    try:
        return await call
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - LiteLLM's batches raise its errors, OpenAI's and httpx's own
        raise failure(error) from None


def _reasons(batch: Any) -> str:
    found = getattr(batch.errors, "data", None) or []
    said = [
        f"{error.code}: {error.message}" + (f" (line {error.line})" if error.line else "") for error in found
    ]
    return "; ".join(said[:5]) or "it gives no reason"
