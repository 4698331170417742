"""受理回执 receipt: confirms the citizen's newest application."""

from core.applications import Application
from core.kernel.refusals import NoApplication
from core.production import receipts
from core.unit_of_work import Preparation


async def receipt(preparation: Preparation, _: None) -> Application:
    application = await receipts.newest_application(preparation.db, preparation.citizen_id)
    if application is None:
        raise NoApplication
    return application
