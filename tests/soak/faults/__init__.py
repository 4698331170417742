"""Fault injection: the real server is killed at random moments while partners fail and citizens
continue. Afterwards everything must be settled, and each effect must have happened exactly once.

    .venv/bin/python -m tests.soak.faults [--rounds 500] [--database postgresql://host] [--control …]

In each round the server starts, serves for a random time, and gets `kill -9`. The partner process
answers late, never, with errors, garbage or half a response, or acts and loses its response; it is
killed now and then too. Citizens report losses, cancel them, reissue and activate cards and
transfer cards in; they repeat interrupted requests under the same idempotency key, as a front-end
would, and the issuer posts each event up to three times.

`--power-cut` keeps the database on a file system (`powercut.c`, FUSE) that loses unsynced data at
each kill. `--control` removes one defence, and expects the check to notice.
"""
