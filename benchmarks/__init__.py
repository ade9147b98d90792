"""Measurements of sklearn_moe on real tables; run one with `python -m benchmarks NAME`."""
