"""C9: C3's job by other programs that copy tables."""

from bench.c3_postgresql_s3 import measure_sling as measure

__all__ = ["measure"]
