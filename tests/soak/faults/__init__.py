"""Faults: the real server is killed at random moments while its partners misbehave and citizens
carry on; then everything must be settled, and each effect have happened once.

    .venv/bin/python -m tests.soak.faults [--rounds 500] [--database postgresql://host] [--control …]

A round is one life of the server: it starts, serves for a random moment, and gets `kill -9`.
The partner process answers late, never, with errors, garbage, half an answer, or acts and lets
its answer be lost; it is killed now and then too. Citizens report losses, cancel them, have
cards reissued, activate them and transfer cards in; they repeat what was cut off under its
idempotency key, as a front-end would, and the issuer posts each event up to three times.

`--power-cut` keeps the database on a file system (`powercut.c`, FUSE) that loses at each kill
what was not synced. `--control` takes one defence out, and expects the check to find it.
"""
