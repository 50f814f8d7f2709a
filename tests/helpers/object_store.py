"""A local S3 for tests: moto's server on a port of this machine, with one bucket."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip
BUCKET = "bucket"


class LocalS3:
    """A bucket."""

    def __init__(self, port: int) -> None:
        from pyarrow import fs

        self.port = port
        self.fs = fs.S3FileSystem(
            access_key="test", secret_key="test", region="us-east-1", scheme="http",
            endpoint_override=f"127.0.0.1:{port}", allow_bucket_creation=True,
        )  # fmt: skip
        self.fs.create_dir(BUCKET)

    def url(self, path: str) -> str:
        return f"s3://{BUCKET}/{path}?scheme=http&region=us-east-1&endpoint_override=127.0.0.1%3A{self.port}"

    def put(self, file: Path, path: str) -> None:
        with self.fs.open_output_stream(f"{BUCKET}/{path}") as stream:
            stream.write(file.read_bytes())

    def put_folder(self, folder: Path, path: str) -> None:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(file, f"{path}/{file.relative_to(folder).as_posix()}")

    def remove_folder(self, path: str) -> None:
        self.fs.delete_dir(f"{BUCKET}/{path}")


@contextmanager
def running() -> Iterator[tuple[LocalS3, "object"]]:
    """Yields the bucket and moto's server, which may be stopped before the end."""
    from moto.server import ThreadedMotoServer

    # Its threads log requests to whatever stream a test has left behind.
    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    try:
        yield LocalS3(port), server
    finally:
        server.stop()
