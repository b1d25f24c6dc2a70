"""A client is found or asked for; without Dask the error names the command."""

import subprocess
import sys

import pytest

import nsae
from nsae.distributed.cluster import client_of


def test_without_dask_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(nsae.MissingExtraError, match=r'pip install "nsae\[dask\]"'):
        client_of()


def test_the_client_of_this_process_is_found(client):
    assert client_of() is client
    assert client_of(client) is client


def test_what_is_no_client_is_refused():
    pytest.importorskip("distributed")
    with pytest.raises(TypeError, match=r"distributed\.Client was expected, got str"):
        client_of("tcp://10.0.0.1:8786")


def test_importing_the_room_imports_no_dask():
    code = "import nsae.distributed, sys; assert not {'dask', 'distributed'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
