"""The GraphQL schema: one module per service, merged here."""

from collections.abc import Callable, Sequence
from copy import copy
from functools import cache, cached_property
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from gateway.channels import CHANNELS
from gateway.channels.contract import Channel
from gateway.compiled import Plans
from gateway.schema.activate_card import ActivateCardMutation
from gateway.schema.application_form import ApplicationDraftMutation, ApplicationFormQuery
from gateway.schema.apply_card import ApplyCardMutation
from gateway.schema.bind_card import BindCardMutation
from gateway.schema.cancel_application import CancelApplicationMutation
from gateway.schema.cancel_loss import CancelLossMutation
from gateway.schema.card_status import CardStatusQuery
from gateway.schema.change_contact import ChangeContactMutation
from gateway.schema.change_notification_settings import (
    NotificationSettingsMutation,
    NotificationSettingsQuery,
)
from gateway.schema.change_password import ChangePasswordMutation
from gateway.schema.change_phone import ChangePhoneMutation
from gateway.schema.change_pickup_outlet import ChangePickupOutletMutation
from gateway.schema.channels import ChannelsQuery, publish_channels
from gateway.schema.correct_application import CorrectApplicationMutation
from gateway.schema.delete_picture import DeletePictureMutation
from gateway.schema.errors import RefusalHandler
from gateway.schema.give_consent import ConsentMutation
from gateway.schema.levels import check_levels
from gateway.schema.masking import MaskUnexpected
from gateway.schema.outlets import OutletsQuery
from gateway.schema.production_progress import (
    ProductionProgressQuery,
    ProductionProgressSubscription,
)
from gateway.schema.receipt import ReceiptQuery
from gateway.schema.reissue_card import ReissueCardMutation
from gateway.schema.report_loss import ReportLossMutation
from gateway.schema.request_upload import UploadMutation
from gateway.schema.send_verification_code import SendVerificationCodeMutation
from gateway.schema.service_form import ServiceFormQuery
from gateway.schema.service_history import ServiceHistoryQuery
from gateway.schema.sessions import EndSessionMutation, SessionsQuery
from gateway.schema.sign_in import SignInMutation
from gateway.schema.sign_out import SignOutMutation
from gateway.schema.transfer_in import TransferInMutation, TransferInQuery
from gateway.schema.upload_id_document import IdDocumentMutation
from gateway.schema.upload_portrait import PortraitMutation
from gateway.schema.viewer import ViewerQuery


@strawberry.type(description="查询 · Read operations, without side effects.")
class Query(
    ChannelsQuery,
    ViewerQuery,
    SessionsQuery,
    ServiceHistoryQuery,
    CardStatusQuery,
    ProductionProgressQuery,
    ReceiptQuery,
    ServiceFormQuery,
    ApplicationFormQuery,
    OutletsQuery,
    TransferInQuery,
    NotificationSettingsQuery,
):
    pass


@strawberry.type(
    description="办理 · Operations that change data, one per request; each returns its success type or a `Refusal`."
)
class Mutation(
    SignInMutation,
    SignOutMutation,
    EndSessionMutation,
    BindCardMutation,
    SendVerificationCodeMutation,
    ConsentMutation,
    UploadMutation,
    PortraitMutation,
    IdDocumentMutation,
    DeletePictureMutation,
    ApplicationDraftMutation,
    ApplyCardMutation,
    ActivateCardMutation,
    ReportLossMutation,
    CancelLossMutation,
    ChangePasswordMutation,
    ChangePhoneMutation,
    ChangeContactMutation,
    TransferInMutation,
    ReissueCardMutation,
    CancelApplicationMutation,
    ChangePickupOutletMutation,
    CorrectApplicationMutation,
    NotificationSettingsMutation,
):
    pass


@strawberry.type(description="订阅 · Live updates, over WebSocket or SSE.")
class Subscription(ProductionProgressSubscription):
    pass


class Schema(strawberry.Schema):
    """Executes validated documents by compiled plans; extensions work as usual."""

    @cached_property
    def plans(self) -> Plans:
        return Plans(self._schema)

    def _get_execute_function(self) -> Callable[..., Any]:
        return self.plans.execute

    def process_errors(self, errors: list[GraphQLError], execution_context: object = None) -> None:
        """Does nothing: strawberry would log the document with its literals; `MaskUnexpected` logs."""


def build_schema(
    *extensions: Callable[[], SchemaExtension], channels: Sequence[type[Channel]] = CHANNELS
) -> Schema:
    """The schema with error masking. `extensions` are factories, called for each request."""
    schema = copy(_types(tuple(channels)))
    schema.extensions = (*extensions, MaskUnexpected)
    return schema


@cache
def _types(channels: tuple[type[Channel], ...]) -> Schema:
    """Cached for all applications of a process, because the conversion is slow."""
    publish_channels(channels)
    check_levels(Query, Mutation, Subscription)
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(disable_field_suggestions=True),
        exception_handlers=[RefusalHandler()],
    )
