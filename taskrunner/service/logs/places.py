"""Where the logs of attempts are, and what of that the service may open.

A definition says where its logs go, and whoever writes it is not the operator of this host: of its
files nothing is opened but what lies below the folders that the operator has listed, links
included. In S3 the service reads what its own credentials may. Either way only objects with the
names of an attempt's logs are read.
"""

from __future__ import annotations

from functools import lru_cache

from taskrunner.data.objects.base import Backend
from taskrunner.data.objects.local import FileBackend, FolderBackend
from taskrunner.data.objects.store import RoutingStore
from taskrunner.data.settings import DataSettings
from taskrunner.host.local_files import LocalFiles
from taskrunner.service.settings import LogSettings

#: Somebody waits for the answer: calls of S3 are tried no longer.
_TRIES = 2


@lru_cache(maxsize=8)
def open_logs(settings: LogSettings) -> RoutingStore:
    """What reads logs; S3's library is loaded only where it is used."""
    return RoutingStore(
        {
            "file": lambda: FileBackend(local=LocalFiles(folders=settings.folders)),
            "s3": lambda: _s3(settings),
        }
    )


def _s3(settings: LogSettings) -> Backend:
    if (root := settings.s3_root) is not None:
        return FolderBackend(root, local=LocalFiles(folders=(root,)))
    from functools import partial

    from taskrunner.data.objects.s3 import S3Backend
    from taskrunner.data.objects.s3_client import create_client

    wanted = DataSettings(s3_endpoint=settings.s3_endpoint, region=settings.region)
    return S3Backend(wanted, client=partial(create_client, tries=_TRIES))
