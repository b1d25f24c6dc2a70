"""Why a row is a hit, which units it depends on, and what units are used for."""
