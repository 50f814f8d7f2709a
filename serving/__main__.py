"""`python -m serving`."""

import argparse
import sys

from serving import cli

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="serving", description="Serve SavedModels over TensorFlow Serving's REST and gRPC."
    )
    cli.add_arguments(parser)
    sys.exit(cli.command(parser.parse_args()))
