"""Ctrl-C waits for the end of a block, and comes then."""

import signal
import threading

import pytest

from nsae.system.interrupts import defer_interrupts


def test_it_waits_for_the_end_of_the_block():
    done = []

    def block():
        with defer_interrupts():
            signal.raise_signal(signal.SIGINT)
            done.append("the rest of the block")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # and afterwards it is as it was


def test_without_it_nothing_happens():
    with defer_interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_are_let_through():
    ran = []

    def work():
        with defer_interrupts():
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran


def test_a_handler_that_python_cannot_put_back_is_left_alone(monkeypatch):
    """A program that embeds Python may have set its own, in C."""
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", lambda *_: pytest.fail("the handler is taken"))
    with defer_interrupts():
        pass


def test_errors_come_through_and_the_handler_is_put_back():
    with pytest.raises(ZeroDivisionError), defer_interrupts():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
