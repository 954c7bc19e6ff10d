"""The version of this package, as its metadata has it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("devmason")
except PackageNotFoundError:  # a checkout on the path, never installed
    __version__ = "0+unknown"
