"""Curator on the bench's questions, run by an interpreter that has `bespokelabs-curator`: URL NUMBER AT_ONCE.

It is asked for plain text, which costs it less than a schema. Prints JSON like `bench_contenders.py`; start-up is
what a run of ten questions takes.
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {
    "TELEMETRY_ENABLED": "0",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_API_KEY": "none",
    "CURATOR_CACHE_DIR": tempfile.mkdtemp(),
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "HF_HUB_OFFLINE": "1",
}

import litellm

os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(litellm.__file__).parent / "litellm_core_utils" / "tokenizers")

from bespokelabs import curator

FILLER = "user: it still does not work\nassistant: please try to restart it\n" * 12


class Voter(curator.LLM):
    def prompt(self, row: dict) -> str:
        return row["prompt"]

    def parse(self, row: dict, response: str) -> dict:
        return {"prompt": row["prompt"], "answer": response}


def vote(url: str, number: int, at_once: int) -> None:
    rows = [{"prompt": f"{FILLER}key=k{index} Was the user helped?"} for index in range(number)]
    voter = Voter(
        model_name="gpt-4o-mini",
        backend="openai",
        backend_params={
            "base_url": url,
            "max_concurrent_requests": at_once,
            "max_requests_per_minute": 10_000_000,
            "max_tokens_per_minute": 10_000_000_000,
        },
    )
    answered = voter(rows)
    dataset = getattr(answered, "dataset", answered)
    assert len(dataset) == number, len(dataset)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    url, number, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    vote(url, 10, at_once)
    before, since = cpu_seconds(), time.perf_counter()
    vote(url, number, at_once)
    seconds, cpu = time.perf_counter() - since, cpu_seconds() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    figures = {"items": number, "seconds": seconds, "cpu": cpu, "start": before, "megabytes": peak}
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main()
