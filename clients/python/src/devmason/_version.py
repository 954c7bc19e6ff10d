"""The version of this package, from its metadata."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("devmason")
except PackageNotFoundError:  # a checkout on the path, never installed
    __version__ = "0+unknown"
