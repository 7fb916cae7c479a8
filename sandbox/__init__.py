"""A Loyalty Engine to run on one's own machine: ``python -m sandbox``.

It speaks the part of the API that is public, refuses what the published rules refuse, and can be
made to fail on purpose. The module never imports it. See ``sandbox/README.md``.

The tags say where a rule comes from: (S) the guide "Integrating with POS", (D) the public
documentation, (C) public code, (C-SPEC) the OpenAPI document in public code, (I) inferred. What is
inferred, or has several readings, is an option (``options.py``).
"""
