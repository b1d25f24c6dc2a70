"""What several test files share."""

import signal

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense

# A shell makes a job in the background ignore Ctrl-C, and its children inherit that.  Tests that send Ctrl-C to
# a process would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A test is not wrong because the machine is busy.
settings.register_profile("nsae", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nsae")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def build():
    """Makes a small random autoencoder in float64: ``build(g, l1=0.1, weight_decay=0.05, …)``."""

    def make(g, *, d=5, h=7, seed=0, weight_decay=0.0, **options):
        rng = np.random.default_rng(seed)
        encoder = Dense(rng.normal(size=(h, d)), rng.normal(size=h) * 0.3, weight_decay)
        decoder = Dense(rng.normal(size=(d, h)), rng.normal(size=d) * 0.3, weight_decay)
        return Autoencoder(encoder, decoder, g, **options)

    return make
