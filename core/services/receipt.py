"""受理回执 receipt: of the newest application, for as long as it is on file."""

from core import receipts
from core.applications import Application
from core.errors import NoApplication
from core.unit import Errand


async def receipt(errand: Errand, _: None) -> Application:
    application = await receipts.newest_application(errand.db, errand.citizen_id)
    if application is None:
        raise NoApplication
    return application
