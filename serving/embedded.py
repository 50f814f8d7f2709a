"""Starts the embedded server's parts, waits for the first versions, and ends them in order."""

import argparse
import asyncio
import contextlib
import logging
import math
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from serving import protos, tls, tokens

DRAIN_S = 20.0
LAST_WAIT_S = 2.0
STORES_TICK_S = 0.2
THREADS = 4
THREADS_WHEN_BATCHING = 64

logger = logging.getLogger(__name__)


def serve(args: argparse.Namespace) -> int:
    """Runs the embedded server until SIGTERM or SIGINT; its ports open once every model answers.

    Raises:
      OptionsError: a file among the options is wrong.
      ServingError: a model cannot be loaded.
      OSError: a port cannot be opened, or the log's folder cannot be written.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    protos.install()
    stop = threading.Event()
    with _stopped_by_signals(stop):
        server = _Server(args, stop)
        status = server.run()
    if not server.ends_by_itself():
        logging.shutdown()
        sys.stdout.flush()
        # A load or a run that nothing can interrupt must not keep a server that was told to end.
        os._exit(status)
    return status


@contextlib.contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    # A handler may interrupt itself: `timeout` sends SIGTERM twice. An Event's lock would then be waited for by its own
    # holder; a SimpleQueue may be put to at any point.
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()

    def end(number: int, _frame: object) -> None:
        asked.put(number)

    def pass_on() -> None:
        asked.get()
        stop.set()

    passing_on = threading.Thread(target=pass_on, daemon=True)
    passing_on.start()
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(0)
        passing_on.join()


class _Server:
    """The parts of one process. TensorFlow's protocol buffers are imported here, so `protos.install` comes first."""

    def __init__(self, args: argparse.Namespace, stop: threading.Event) -> None:
        from serving.http.limits import Limits
        from serving.log.request_log import RequestLog
        from serving.metrics import Metrics
        from serving.servables.object_stores import ObjectStores
        from serving.servables.registry import ModelRegistry
        from serving.servables.versions import Retries

        self._args = args
        self._stop = stop
        self._threads = args.threads or (THREADS_WHEN_BATCHING if args.enable_batching else THREADS)
        self._metrics = Metrics()
        self._stores = ObjectStores(args.model_cache)
        self._registry = ModelRegistry(
            self._loader(),
            retries=Retries(count=args.load_retries, interval_s=args.load_retry_seconds),
            labels_for_unavailable=args.allow_version_labels_for_unavailable_models,
            find=self._stores.find,
        )
        self._log: RequestLog | None = None
        if args.log_dir is not None:
            self._log = RequestLog(
                args.log_dir,
                args.log_sample_rate,
                rotate_seconds=args.log_rotate_seconds,
                rotate_bytes=args.log_rotate_bytes,
            )
            self._metrics.show_log(self._log.counts)
        self._tokens = _tokens(args)
        self._tls = self._grpc_tls = None
        if args.tls_certificate is not None:
            self._tls = self._grpc_tls = tls.from_files(args.tls_certificate, args.tls_key, args.tls_client_ca)
        if args.ssl_config_file is not None:
            self._grpc_tls = tls.from_ssl_config(args.ssl_config_file)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="model")
        self._limits = Limits(
            body_bytes=args.max_body_bytes,
            header_bytes=args.max_header_bytes,
            buffered_bytes=args.max_buffered_bytes,
            values=args.max_values,
            timeout_s=args.timeout_seconds,
            idle_s=args.idle_seconds,
            connections=args.max_connections,
            executions=self._threads,
            waiting=args.max_waiting,
        )

    def run(self) -> int:
        """Loads, serves, ends; returns the exit status."""
        from serving.errors import ServingError

        mirror = threading.Thread(target=self._sync_stores, daemon=True)
        mirror.start()
        try:
            return self._run()
        except ServingError:
            if not self._stop.is_set():
                raise
            return 0  # Stopped while it was loading.
        finally:
            self._stop.set()
            self._registry.close()
            mirror.join(LAST_WAIT_S)
            self._stores.close()

    def _run(self) -> int:
        self._registry.configure(self._configs(), still_wanted=lambda: not self._stop.is_set())
        repeated = (
            (self._registry.poll, self._args.poll_seconds),
            (self._reload, self._args.model_config_file_poll_seconds),
        )
        looking = [
            threading.Thread(target=self._repeat, args=(target, interval_s), daemon=True)
            for target, interval_s in repeated
            if interval_s
        ]
        for thread in looking:
            thread.start()
        try:
            _run_event_loop(self._serve)
        finally:
            self._stop.set()
            self._registry.close()
            for thread in looking:  # They log, and the log may be closed once this has returned.
                thread.join(LAST_WAIT_S)
            if self._log is not None:
                self._log.close()
        return 0

    def _sync_stores(self) -> None:
        """Keeps the copies of object stores up to date; without polling, it reads them for a new list of models."""
        interval_s = self._args.poll_seconds
        read_at = -math.inf
        while not self._stop.wait(STORES_TICK_S):
            staged = self._registry.wanted(staged_alone=True)
            waited_s = time.monotonic() - read_at
            if staged:  # Somebody waits.
                is_due = waited_s >= 1 or not self._stores.have_read(staged)
            else:
                is_due = interval_s > 0 and waited_s >= interval_s
            if is_due:
                self._stores.sync(self._registry.wanted(), self._registry.served())
                read_at = time.monotonic()

    def ends_by_itself(self) -> bool:
        """Tells whether all threads that work have come to an end."""
        ended = threading.Event()

        def wait() -> None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._registry.close(wait=True)
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        return ended.wait(LAST_WAIT_S)

    async def _serve(self) -> None:
        from serving.http.rest import RestService
        from serving.http.server import HttpServer

        where = []
        http = grpc = health = None
        args = self._args
        # gRPC first: who sees REST answer may take both to be there.
        if args.grpc_port or args.grpc_socket_path:
            addresses = self._grpc_addresses()
            grpc, health = self._grpc_server(addresses)
            where.append(f"gRPC {' and '.join(addresses)}")
        if args.port:
            service = RestService(
                self._registry,
                self._metrics,
                log=self._log,
                max_values=args.max_values,
                metrics_path=args.metrics_path,
                tokens=self._tokens,
            )
            http = HttpServer(service, self._pool, self._limits, cors=args.cors)
            await http.start(args.host, args.port, self._tls)
            scheme = "http" if self._tls is None else "https"
            where.insert(0, f"{scheme}://{_in_url(args.host)}:{args.port}/v1/models/")
        served = ", ".join(
            f"{name} (version {', '.join(map(str, versions)) or 'none'})"
            for name, versions in sorted(self._registry.served().items())
        )
        print(f"Serving {served or 'no model'} at {' and '.join(where)}", flush=True)
        while not self._stop.is_set():
            await asyncio.sleep(0.1)
            if http is not None:
                await http.renew()
            if health is not None:
                health.update()
        if health is not None:
            health.stop()
        drain_s = min(DRAIN_S, self._limits.timeout_s)
        if http is not None:
            await http.stop(drain_s)
        if grpc is not None:
            await asyncio.to_thread(grpc.stop(drain_s).wait)

    def _grpc_addresses(self) -> list[str]:
        args = self._args
        port = [f"{_in_url(args.host)}:{args.grpc_port}"] if args.grpc_port else []
        return port + ([f"unix:{args.grpc_socket_path.absolute()}"] if args.grpc_socket_path is not None else [])

    def _grpc_server(self, addresses: Sequence[str]) -> tuple[Any, Any]:
        from serving.grpc_server import make_server, server_credentials

        server, health = make_server(
            self._registry,
            self._metrics,
            self._pool,
            log=self._log,
            max_message_bytes=self._args.max_body_bytes,
            max_calls=self._threads + self._args.max_waiting,
            reflection=self._args.grpc_reflection,
            tokens=self._tokens,
            channel_arguments=self._args.grpc_channel_arguments,
            tensor_content=self._args.grpc_tensor_content,
            max_values=self._args.max_values,
        )
        credentials = server_credentials(self._grpc_tls) if self._grpc_tls is not None else None
        for address in addresses:
            try:
                opened = (
                    server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
                )
            except RuntimeError:
                opened = 0
            if not opened:
                raise OSError(
                    f"gRPC cannot be opened at {address}; is another server there, or is it no place for one?"
                )
        server.start()
        return server, health

    def _configs(self) -> "list[Any]":  # Any: ModelConfig, whose module needs protos.install().
        from serving.errors import OptionsError
        from serving.servables.config import ModelConfig, check_base_path, read_file

        if self._args.model_config_file is not None:
            return list(read_file(self._args.model_config_file))
        try:
            check_base_path(self._args.model_base_path)
        except ValueError as error:
            raise OptionsError(f"--model-base-path: {error}.") from error
        return [ModelConfig(self._args.model_name, self._args.model_base_path)]

    def _loader(self) -> "Callable[[str, Path], Any]":
        from serving import warm_up
        from serving.errors import ServingError
        from serving.metrics import WARM_UP_LATENCY
        from serving.servables import op_libraries
        from serving.servables.loaded_model import LoadedModel
        from serving.servables.op_libraries import NOT_REGISTERED

        op_libraries.load(self._args.op_library)
        scheduler = self._batch_scheduler()

        def load(_name: str, folder: Path) -> LoadedModel:
            try:
                model = LoadedModel(
                    folder,
                    timeout_s=self._args.timeout_seconds,
                    batched=scheduler.batched if scheduler else None,
                    checks_method_names=self._args.check_method_names,
                )
            except ServingError as error:
                if NOT_REGISTERED in str(error):
                    raise ServingError(
                        error.code, f"{error} Name the library that has it with --op-library."
                    ) from error
                raise
            started = time.perf_counter()
            try:
                records = 0 if self._args.no_warm_up else warm_up.replay(model)
            except Exception:
                model.close()
                raise
            if records:
                labels = (("model_path", str(folder)), ("status", "OK"))
                self._metrics.observe(WARM_UP_LATENCY, labels, (time.perf_counter() - started) * 1e6)
            return model

        return load

    def _batch_scheduler(self) -> Any:
        from serving.metrics import QUEUING_LATENCY
        from serving.servables.batching import BatchingParameters, BatchScheduler, read_parameters

        if not self._args.enable_batching:
            return None
        file = self._args.batching_parameters_file
        parameters = read_parameters(file) if file is not None else BatchingParameters()
        return BatchScheduler(parameters, lambda waited: self._metrics.observe(QUEUING_LATENCY, (), waited))

    def _reload(self) -> None:
        self._registry.configure(self._configs(), still_wanted=lambda: not self._stop.is_set())

    def _repeat(self, what: Callable[[], None], interval_s: float) -> None:
        while not self._stop.wait(interval_s):
            try:
                what()
            except Exception as error:  # noqa: BLE001 - a bad file or disk must not end what is served.
                logger.error("Nothing is changed: %s", error)


def _tokens(args: argparse.Namespace) -> tokens.Tokens | None:
    if args.auth_token_file is not None:
        return tokens.from_file(args.auth_token_file)
    if args.auth_token_env is not None:
        return tokens.from_environment(args.auth_token_env, os.environ.get(args.auth_token_env, ""))
    return None


def _run_event_loop(main: Callable[[], Any]) -> None:
    try:
        import uvloop
    except ImportError:  # Windows has none.
        asyncio.run(main())
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
