"""Whether the container is well. Exit status: 0 well, 1 not.

Where the container's command is `serve`, the model server must answer that a version is available. Any other command
is well as long as it runs, which is all that can be asked of a batch job.
"""

import json
import sys
import urllib.request
from pathlib import Path


def status_url(command: list[str]) -> str | None:
    """Returns the model status address of a `serve` command, in TensorFlow Serving's REST contract; None for others."""
    if "serve" not in command:
        return None
    options = command[command.index("serve") + 1 :]

    def value(option: str, default: str) -> str:
        for word, following in zip(options, [*options[1:], ""], strict=True):
            if word == option:
                return following
            if word.startswith(f"{option}="):
                return word.partition("=")[2]
        return default

    return f"http://127.0.0.1:{value('--port', '8501')}/v1/models/{value('--model-name', 'model')}"


def main() -> int:
    """Looks at process 1, the container's command."""
    url = status_url(Path("/proc/1/cmdline").read_text(encoding="utf-8").split("\0"))
    if url is None:
        return 0
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            versions = json.load(answer)["model_version_status"]
    except (OSError, ValueError, KeyError) as error:
        print(f"{url}: {error}")
        return 1
    return 0 if any(version["state"] == "AVAILABLE" for version in versions) else 1


if __name__ == "__main__":
    sys.exit(main())
