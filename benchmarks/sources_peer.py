"""What pandas and SQLAlchemy take for the same rows: read a query, write Parquet. Runs in an environment of its own.

python sources_peer.py URL QUERY TARGET whole|chunks
"""

import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy

_CHUNK = 50_000


def whole(url: str, query: str, target: str) -> int:
    """As most people write it; returns the rows."""
    frame = pd.read_sql(sqlalchemy.text(query), sqlalchemy.create_engine(url))
    frame.to_parquet(target, compression="zstd")
    return len(frame)


def chunks(url: str, query: str, target: str) -> int:
    """In pieces, by a cursor on the server; returns the rows."""
    rows, writer = 0, None
    with sqlalchemy.create_engine(url).connect().execution_options(stream_results=True) as connection:
        for frame in pd.read_sql(sqlalchemy.text(query), connection, chunksize=_CHUNK):
            table = pa.Table.from_pandas(frame, preserve_index=False)
            writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
            writer.write_table(table.cast(writer.schema))
            rows += len(frame)
    assert writer is not None, "there are rows"
    writer.close()
    return rows


if __name__ == "__main__":
    print({"whole": whole, "chunks": chunks}[sys.argv[4]](*sys.argv[1:4]))
    with open("/proc/self/status") as status:
        print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
