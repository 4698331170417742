"""Refusals: all reasons for which the core declines a request.

    Refusal
    ├── InvalidFields      several form fields are invalid
    ├── sign-in            SignInExpired, SignInStateInvalid, ChannelUnavailable, …
    ├── binding            NotBound, AlreadyBound, IdentityNotConfirmed, …
    ├── codes              CodeWrong, CodeExpired, CodeVoid, CodeNotSent, TooManyCodes, SmsRefused
    ├── cards              NoCard, WrongCardState, CardHeld, ApplicationOpen, ReissueOpen, …
    ├── password           PasswordWrong, PasswordLocked, …
    ├── transfer           TransferCardNotFound, CardOutsideProvince, …
    └── system             PartnerUnavailable, TryAgainLater, OutcomeUnknown, IdempotencyKeyReused

A refusal tells the citizen what is the matter and what to do, in Chinese and in English. It never contains a personal
number. If `commits` is true, the transaction is committed before the refusal is raised, because
it must persist something (a counted wrong attempt).
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar, Self, TypeAlias

from core.kernel.card_services import CardService
from core.kernel.line_breaks import unbroken
from core.kernel.next_steps import HOTLINE, NATIONAL_HOTLINE, NextStep
from core.kernel.texts import Language, Text

Fact: TypeAlias = str | int | Text

_ASK = NextStep(None, Text("可拨打 028-12333 咨询。", "For help, call 028-12333."), HOTLINE)
_FORGOTTEN = NextStep(
    None,
    Text(
        "忘记原密码的，本渠道不能找回，请拨打 028-12333 咨询如何重置。",
        "A forgotten password cannot be recovered here; call 028-12333 to ask how to reset it.",
    ),
    HOTLINE,
)


def waiting_time(seconds: int) -> Text:
    """`45 秒`, `5 分钟`, `1 小时 30 分钟`: from a minute on rounded up to whole minutes."""
    if seconds < 60:
        return Text(f"{seconds} 秒", _counted(seconds, "second"))
    hours, minutes = divmod(-(-seconds // 60), 60)
    parts = [
        Text(f"{number} {unit}", _counted(number, english))
        for number, unit, english in ((hours, "小时", "hour"), (minutes, "分钟", "minute"))
        if number
    ]
    return Text(" ".join(part.zh for part in parts), " ".join(part.en for part in parts))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class RefusalCode(StrEnum):
    """The code of a refusal, exposed unchanged in the schema."""

    REQUIRED = "REQUIRED"
    INVALID_FORMAT = "INVALID_FORMAT"
    INVALID_CHARACTERS = "INVALID_CHARACTERS"
    TOO_LONG = "TOO_LONG"
    INVALID_DATE = "INVALID_DATE"
    INVALID_ID_NUMBER = "INVALID_ID_NUMBER"
    UNKNOWN_CODE = "UNKNOWN_CODE"
    NOT_SERVED_ONLINE = "NOT_SERVED_ONLINE"
    NOT_YOURS = "NOT_YOURS"
    BIRTH_DATE_MISMATCH = "BIRTH_DATE_MISMATCH"
    GENDER_MISMATCH = "GENDER_MISMATCH"
    DOCUMENT_EXPIRED = "DOCUMENT_EXPIRED"
    OUTLET_NOT_IN_DISTRICT = "OUTLET_NOT_IN_DISTRICT"
    OUTLET_DOES_NOT_SERVE_BANK = "OUTLET_DOES_NOT_SERVE_BANK"
    GUARDIAN_NEEDED = "GUARDIAN_NEEDED"
    NOTHING_TO_CHANGE = "NOTHING_TO_CHANGE"
    SMS_REQUIRED = "SMS_REQUIRED"

    SIGN_IN_EXPIRED = "SIGN_IN_EXPIRED"
    SIGN_IN_STATE_INVALID = "SIGN_IN_STATE_INVALID"
    CHANNEL_UNAVAILABLE = "CHANNEL_UNAVAILABLE"
    CHANNEL_OFF = "CHANNEL_OFF"
    REAL_NAME_REQUIRED = "REAL_NAME_REQUIRED"
    AUTHORIZATION_REQUIRED = "AUTHORIZATION_REQUIRED"
    VIRTUAL_ACCOUNT = "VIRTUAL_ACCOUNT"
    NOT_OFFERED_HERE = "NOT_OFFERED_HERE"
    NO_SUCH_SESSION = "NO_SUCH_SESSION"

    NOT_BOUND = "NOT_BOUND"
    BINDING_NOT_NEEDED = "BINDING_NOT_NEEDED"
    IDENTITY_NOT_CONFIRMED = "IDENTITY_NOT_CONFIRMED"
    TOO_MANY_TRIES = "TOO_MANY_TRIES"

    CODE_WRONG = "CODE_WRONG"
    CODE_EXPIRED = "CODE_EXPIRED"
    CODE_VOID = "CODE_VOID"
    CODE_NOT_SENT = "CODE_NOT_SENT"
    TOO_MANY_CODES = "TOO_MANY_CODES"
    SMS_REFUSED = "SMS_REFUSED"
    PHONE_NOT_BOUND = "PHONE_NOT_BOUND"
    PHONE_UNCHANGED = "PHONE_UNCHANGED"
    PHONE_TAKEN = "PHONE_TAKEN"

    NO_CARD = "NO_CARD"
    CARD_NUMBER_MISMATCH = "CARD_NUMBER_MISMATCH"
    WRONG_CARD_STATE = "WRONG_CARD_STATE"
    CARD_HELD = "CARD_HELD"
    CARD_HELD_ELSEWHERE = "CARD_HELD_ELSEWHERE"
    NO_CARD_ELSEWHERE = "NO_CARD_ELSEWHERE"
    APPLICATION_OPEN = "APPLICATION_OPEN"
    REISSUE_OPEN = "REISSUE_OPEN"
    CARD_BEING_CONFIRMED = "CARD_BEING_CONFIRMED"
    NO_APPLICATION = "NO_APPLICATION"
    NO_SUCH_APPLICATION = "NO_SUCH_APPLICATION"
    APPLICATION_CLOSED = "APPLICATION_CLOSED"
    APPLICATION_BEING_CHANGED = "APPLICATION_BEING_CHANGED"
    PICKUP_OUTLET_UNCHANGED = "PICKUP_OUTLET_UNCHANGED"
    MANUFACTURE_BEGUN = "MANUFACTURE_BEGUN"
    CARD_BEING_TRANSFERRED = "CARD_BEING_TRANSFERRED"
    NOTHING_TO_CORRECT = "NOTHING_TO_CORRECT"
    NOT_TO_BE_CORRECTED = "NOT_TO_BE_CORRECTED"
    CITIZEN_DECEASED = "CITIZEN_DECEASED"
    PORTRAIT_NOT_CONFIRMED = "PORTRAIT_NOT_CONFIRMED"
    ID_DOCUMENTS_NOT_CONFIRMED = "ID_DOCUMENTS_NOT_CONFIRMED"
    NO_SUCH_PORTRAIT = "NO_SUCH_PORTRAIT"
    PORTRAIT_NOT_ACCEPTED = "PORTRAIT_NOT_ACCEPTED"
    NO_SUCH_PICTURE = "NO_SUCH_PICTURE"
    PICTURE_SUBMITTED = "PICTURE_SUBMITTED"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    UNREADABLE_IMAGE = "UNREADABLE_IMAGE"
    IMAGE_FORMAT_UNSUPPORTED = "IMAGE_FORMAT_UNSUPPORTED"
    IMAGE_INCOMPLETE = "IMAGE_INCOMPLETE"
    IMAGE_TOO_SMALL = "IMAGE_TOO_SMALL"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"

    NOTICE_CHANGED = "NOTICE_CHANGED"
    CONSENT_NOT_GIVEN = "CONSENT_NOT_GIVEN"
    FILE_EMPTY = "FILE_EMPTY"
    TOO_MANY_UPLOADS = "TOO_MANY_UPLOADS"
    NO_SUCH_UPLOAD = "NO_SUCH_UPLOAD"
    UPLOAD_INCOMPLETE = "UPLOAD_INCOMPLETE"
    UPLOAD_OUT_OF_STEP = "UPLOAD_OUT_OF_STEP"

    PASSWORD_WRONG = "PASSWORD_WRONG"
    PASSWORD_LOCKED = "PASSWORD_LOCKED"
    PASSWORD_TOO_SIMPLE = "PASSWORD_TOO_SIMPLE"
    PASSWORDS_DIFFER = "PASSWORDS_DIFFER"
    PASSWORD_UNCHANGED = "PASSWORD_UNCHANGED"
    PASSWORD_NOT_SET = "PASSWORD_NOT_SET"

    TRANSFER_CARD_NOT_FOUND = "TRANSFER_CARD_NOT_FOUND"
    TRANSFER_CARD_NOT_ACTIVE = "TRANSFER_CARD_NOT_ACTIVE"
    CARD_OUTSIDE_PROVINCE = "CARD_OUTSIDE_PROVINCE"
    CARD_ALREADY_HERE = "CARD_ALREADY_HERE"
    NO_INSURANCE_CHOSEN = "NO_INSURANCE_CHOSEN"
    INSURANCE_NOT_ENROLLED = "INSURANCE_NOT_ENROLLED"

    NO_SUCH_HISTORY_ENTRY = "NO_SUCH_HISTORY_ENTRY"
    ALREADY_RATED = "ALREADY_RATED"

    PARTNER_UNAVAILABLE = "PARTNER_UNAVAILABLE"
    TRY_AGAIN_LATER = "TRY_AGAIN_LATER"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"


class Refusal(Exception):
    """`field` is the form field at fault; `retry_after` is in whole seconds, `{wait}` in its text.

    `text` says what is the matter. `next_step`, where there is one, says what to do, and ends the
    message.
    """

    code: ClassVar[RefusalCode]
    text: ClassVar[Text]
    commits: bool = False
    next_step: NextStep | None = None

    def __init__(
        self, *, field: str | None = None, retry_after: int | None = None, **facts: Fact
    ) -> None:
        super().__init__(self.code.value)
        self.field = field
        self.retry_after = retry_after
        self.facts = facts

    def message(self, language: Language) -> str:
        facts = {
            name: fact.in_language(language) if isinstance(fact, Text) else fact
            for name, fact in self.facts.items()
        }
        if self.retry_after is not None:
            facts["wait"] = waiting_time(self.retry_after).in_language(language)
        sentences = [self.text.in_language(language).format(**facts)]
        if self.next_step is not None:
            sentences.append(self.next_step.message.in_language(language))
        return unbroken((" " if language is Language.EN else "").join(sentences))

    def with_next_step(self, next_step: NextStep | None) -> Self:
        """None leaves the one of its class."""
        self.next_step = next_step or self.next_step
        return self

    def without_counting(self) -> Self:
        """The same refusal without a commit, because nothing was counted."""
        self.commits = False
        return self

    @property
    def problems(self) -> "tuple[Refusal, ...]":
        """One refusal for each invalid field."""
        return (self,) if self.field else ()


class InvalidFields(Refusal):
    """Several refusals of one form. Code and message are those of the first."""

    def __init__(self, problems: Iterable[Refusal]) -> None:
        self._problems = tuple(problems)
        first = self._problems[0]
        self.code = first.code  # type: ignore[misc]
        super().__init__(field=first.field, retry_after=first.retry_after)
        self.next_step = first.next_step

    def message(self, language: Language) -> str:
        return self._problems[0].message(language)

    @property
    def problems(self) -> tuple[Refusal, ...]:
        return self._problems


# --- a form field --------------------------------------------------------------------------


class Required(Refusal):
    code = RefusalCode.REQUIRED
    text = Text("请填写{label}。", "Please fill in {label}.")


class InvalidFormat(Refusal):
    code = RefusalCode.INVALID_FORMAT
    text = Text("{label}格式不正确：{rule}。", "{label} is not in a valid format: {rule}.")


class InvalidCharacters(Refusal):
    code = RefusalCode.INVALID_CHARACTERS
    text = Text(
        "{label}含有不能使用的字符，请重新输入。",
        "{label} contains invalid characters; please enter it again.",
    )


class TooLong(Refusal):
    code = RefusalCode.TOO_LONG
    text = Text("{label}不能超过 {most} 个字。", "{label} must have at most {most} characters.")


class InvalidDate(Refusal):
    code = RefusalCode.INVALID_DATE
    text = Text(
        "{label}不是有效的日期，请按 {example} 填写。",
        "{label} is not a valid date; please enter it like {example}.",
    )


class InvalidIdNumber(Refusal):
    code = RefusalCode.INVALID_ID_NUMBER
    text = Text(
        "{label}不正确，请核对 18 位号码（最后一位可为 X）。",
        "{label} is not valid; please check the 18 characters (the last may be X).",
    )


class UnknownCode(Refusal):
    code = RefusalCode.UNKNOWN_CODE
    text = Text(
        "{label}不在可选范围内，请重新选择。",
        "{label} is not one of the options; please choose again.",
    )


class NotServedOnline(Refusal):
    code = RefusalCode.NOT_SERVED_ONLINE
    text = Text(
        "线上申办目前只受理「{served}」，其他{label}请到社保卡服务网点办理。",
        "{label}: only “{served}” is served online; for any other, please visit a card outlet.",
    )
    next_step = _ASK


class NotYours(Refusal):
    code = RefusalCode.NOT_YOURS
    text = Text(
        "{label}与您的实名信息不一致，请核对。",
        "{label} does not match your verified identity; please check it.",
    )


class BirthDateMismatch(Refusal):
    code = RefusalCode.BIRTH_DATE_MISMATCH
    text = Text(
        "出生日期与证件号码不一致，请核对。",
        "The birth date does not match the ID number; please check it.",
    )


class GenderMismatch(Refusal):
    code = RefusalCode.GENDER_MISMATCH
    text = Text(
        "性别与证件号码不一致，请核对。",
        "The gender does not match the ID number; please check it.",
    )


class DocumentExpired(Refusal):
    code = RefusalCode.DOCUMENT_EXPIRED
    text = Text(
        "证件已过有效期，请先到公安机关换领新证。",
        "The document has expired; please renew it at a public security office first.",
    )


class OutletNotInDistrict(Refusal):
    code = RefusalCode.OUTLET_NOT_IN_DISTRICT
    text = Text(
        "所选网点不在所选区县，请重新选择网点。",
        "The outlet is not in the chosen district; please choose another.",
    )


class OutletDoesNotServeBank(Refusal):
    code = RefusalCode.OUTLET_DOES_NOT_SERVE_BANK
    text = Text(
        "所选网点不办理{bank}的社保卡，{choice}。",
        "The outlet does not serve {bank}; {choice}.",
    )


class GuardianNeeded(Refusal):
    code = RefusalCode.GUARDIAN_NEEDED
    text = Text(
        "未满 {age} 周岁不能在线开通金融代扣，请选择「否」，由监护人陪同到银行网点办理。",
        "Under the age of {age}, financial withholding cannot be opened online; please choose No and visit a bank branch with a guardian.",
    )


class NothingToChange(Refusal):
    code = RefusalCode.NOTHING_TO_CHANGE
    text = Text("请至少填写一项需要变更的信息。", "Please fill in at least one item to change.")


class SmsRequired(Refusal):
    code = RefusalCode.SMS_REQUIRED
    text = Text(
        "「{notice}」关系到您的卡和账户安全，短信提醒不能关闭；渠道消息可以关闭。",
        "SMS for “{notice}” protects your card and account and cannot be switched off; "
        "messages in the app can.",
    )


# --- signing in ----------------------------------------------------------------------------


class SignInExpired(Refusal):
    code = RefusalCode.SIGN_IN_EXPIRED
    text = Text(
        "登录凭证已失效，请退出后从{app}重新进入。",
        "Your sign-in has expired; please exit and open the service again from {app}.",
    )


class SignInStateInvalid(Refusal):
    code = RefusalCode.SIGN_IN_STATE_INVALID
    text = Text(
        "登录请求已失效或已使用，请从{app}重新进入。",
        "The sign-in request has expired or was already used; please open the service again from {app}.",
    )


class ChannelUnavailable(Refusal):
    code = RefusalCode.CHANNEL_UNAVAILABLE
    text = Text(
        "{app}暂时没有响应，请 {wait}后重试，或改用其他渠道。",
        "{app} is not responding; please try again in {wait} or use another channel.",
    )


class ChannelOff(Refusal):
    code = RefusalCode.CHANNEL_OFF
    text = Text(
        "{app}渠道暂未开放，请改用其他渠道。",
        "{app} is temporarily unavailable as a channel; please use another one.",
    )


class RealNameRequired(Refusal):
    code = RefusalCode.REAL_NAME_REQUIRED
    text = Text(
        "请先在{app}完成实名认证，再办理社保卡业务。",
        "Please complete real-name verification in {app} first.",
    )


class AuthorizationRequired(Refusal):
    code = RefusalCode.AUTHORIZATION_REQUIRED
    text = Text(
        "您未授权我们查看姓名和证件号码，请从{app}重新进入并同意授权。",
        "You did not allow us to read your name and ID number; please open the service again from {app} and agree.",
    )


class VirtualAccount(Refusal):
    code = RefusalCode.VIRTUAL_ACCOUNT
    text = Text(
        "当前是临时访问的虚拟账号，请用本人微信账号进入。",
        "This is a temporary virtual account; please sign in with your own WeChat account.",
    )


class NotOfferedHere(Refusal):
    code = RefusalCode.NOT_OFFERED_HERE
    text = Text(
        "本渠道不办理此项服务，请改用其他渠道。",
        "This service is not available in this channel; please use another one.",
    )


class NoSuchSession(Refusal):
    """Also for another citizen's, so that its existence is not disclosed."""

    code = RefusalCode.NO_SUCH_SESSION
    text = Text(
        "没有找到这个登录会话，或已结束；如需继续办理，请从渠道 App 重新进入。",
        "This session was not found, or it has ended; to go on, open the service again from the app.",
    )


# --- binding -------------------------------------------------------------------------------


class NotBound(Refusal):
    code = RefusalCode.NOT_BOUND
    text = Text(
        "请先完成绑卡（微服务 → 社保查询），再办理此业务。",
        "Please bind your card first (微服务 → 社保查询).",
    )


class BindingNotNeeded(Refusal):
    code = RefusalCode.BINDING_NOT_NEEDED
    text = Text(
        "本渠道已由平台实名认证，无需绑卡。",
        "This channel has already verified your identity; you do not need to bind a card.",
    )


class IdentityNotConfirmed(Refusal):
    code = RefusalCode.IDENTITY_NOT_CONFIRMED
    text = Text(
        "姓名、社会保障号码与手机号码未能核对一致。请核对后重试，手机号码须为已登记的号码。",
        "Name, social security number and phone number do not match our records. Please check them; the phone number must be the one on file.",
    )
    next_step = NextStep(
        None,
        Text(
            "登记的号码已停用的，请从云闪付或平安“城市一账通”进入，在「信息变更」中变更手机号码；"
            "如有疑问请拨打 028-12333。",
            "If that number is no longer yours, open the service from the UnionPay app 云闪付 or the "
            "Ping An app 城市一账通 and change it there. For help, call 028-12333.",
        ),
        HOTLINE,
    )
    commits = True


class TooManyTries(Refusal):
    code = RefusalCode.TOO_MANY_TRIES
    text = Text("尝试次数过多，请 {wait}后再试。", "Too many attempts; please try again in {wait}.")
    next_step = _ASK


# --- verification codes and phones ---------------------------------------------------------


class CodeWrong(Refusal):
    code = RefusalCode.CODE_WRONG
    text = Text("验证码不正确，还可以再试 {left} 次。", "The code is wrong; attempts left: {left}.")
    commits = True


class CodeExpired(Refusal):
    code = RefusalCode.CODE_EXPIRED
    text = Text("验证码已过期，请重新获取。", "The code has expired; please request a new one.")


class CodeVoid(Refusal):
    code = RefusalCode.CODE_VOID
    text = Text(
        "验证码输错次数过多，已作废，请重新获取。",
        "Too many wrong attempts: the code is no longer valid; please request a new one.",
    )
    commits = True


class CodeNotSent(Refusal):
    code = RefusalCode.CODE_NOT_SENT
    text = Text("请先获取验证码。", "Please request a verification code first.")


class TooManyCodes(Refusal):
    code = RefusalCode.TOO_MANY_CODES
    text = Text(
        "获取验证码过于频繁，请 {wait}后再试。",
        "Too many codes were requested; please try again in {wait}.",
    )


class SmsRefused(Refusal):
    """Nothing was sent, and nothing was counted."""

    code = RefusalCode.SMS_REFUSED
    text = Text(
        "验证码未能发出：短信网关未受理发往该号码的短信。请核对手机号码后重试，或咨询您的运营商。",
        "The code could not be sent: the SMS gateway did not accept a message to this number. "
        "Please check the number and try again, or ask your operator.",
    )


class PhoneNotBound(Refusal):
    code = RefusalCode.PHONE_NOT_BOUND
    text = Text(
        "手机号码与您绑定的号码不一致，请输入已绑定的手机号码。",
        "This is not your registered phone number; please enter the registered one.",
    )
    next_step = NextStep(
        CardService.CHANGE_INFORMATION,
        Text(
            "绑定的号码已停用的，请先在「信息变更」中变更手机号码。",
            "If that number is no longer yours, change it first under Change information.",
        ),
    )


class PhoneUnchanged(Refusal):
    code = RefusalCode.PHONE_UNCHANGED
    text = Text(
        "新手机号码与现有号码相同。", "The new phone number is the same as the current one."
    )


class PhoneTaken(Refusal):
    code = RefusalCode.PHONE_TAKEN
    text = Text(
        "该手机号码不能用于您的账户，请换一个本人的号码。",
        "This phone number cannot be used for your account; please enter another number of your own.",
    )


# --- cards and applications ----------------------------------------------------------------


class NoCard(Refusal):
    code = RefusalCode.NO_CARD
    text = Text("没有查到您在成都的社会保障卡。", "You have no card in Chengdu.")


class CardNumberMismatch(Refusal):
    code = RefusalCode.CARD_NUMBER_MISMATCH
    text = Text(
        "社会保障卡号与您的卡不一致，卡号在卡片头像面。",
        "The card number does not match your card; it is printed on the portrait side.",
    )


class WrongCardState(Refusal):
    code = RefusalCode.WRONG_CARD_STATE
    text = Text(
        "您的卡当前状态为「{state}」，不能办理{service}。",
        "Your card is {state}; {service} is not possible.",
    )


class CardHeld(Refusal):
    code = RefusalCode.CARD_HELD
    text = Text(
        "您已持有社会保障卡（{state}），不能重复申办。", "You already have a card ({state})."
    )


class CardHeldElsewhere(Refusal):
    code = RefusalCode.CARD_HELD_ELSEWHERE
    text = Text(
        "您在{region}已有社会保障卡，不能重复申办。", "You already have a card in {region}."
    )


class NoCardElsewhere(Refusal):
    code = RefusalCode.NO_CARD_ELSEWHERE
    text = Text(
        "没有查到您在四川省其他市（州）的社会保障卡，无卡可转。",
        "You have no card in another city of Sichuan that could be transferred in.",
    )


class ApplicationOpen(Refusal):
    code = RefusalCode.APPLICATION_OPEN
    text = Text("您有一笔申请正在办理。", "You have an application that is being processed.")


class ReissueOpen(Refusal):
    code = RefusalCode.REISSUE_OPEN
    text = Text(
        "补卡已受理，原卡不能再解挂。",
        "A reissue was accepted, so the old card cannot be reactivated.",
    )


class CardBeingConfirmed(Refusal):
    code = RefusalCode.CARD_BEING_CONFIRMED
    text = Text(
        "卡归属地转入正在确认，确认后才能办理此业务，结果将短信告知。",
        "The transfer of your card is being confirmed. You can do this once it is confirmed; "
        "we will send you a message.",
    )


class NoApplication(Refusal):
    code = RefusalCode.NO_APPLICATION
    text = Text("没有查到您的制卡记录。", "You have no card in production.")


class NoSuchApplication(Refusal):
    """Unknown or another citizen's: which one is not disclosed."""

    code = RefusalCode.NO_SUCH_APPLICATION
    text = Text(
        "没有查到您的这笔申请，请核对申请编号（在「制卡进度查询」中查看）。",
        "You have no application with this number; see the production progress for yours.",
    )


class ApplicationClosed(Refusal):
    code = RefusalCode.APPLICATION_CLOSED
    text = Text(
        "这笔申请已关闭。没有卡的可申办，原卡已挂失的可解挂或补卡。",
        "This application is closed. Without a card you can apply; if a card was reported lost, you can cancel the loss or request a reissue.",
    )


class ApplicationBeingChanged(Refusal):
    code = RefusalCode.APPLICATION_BEING_CHANGED
    text = Text(
        "您提交的「{change}」正在由制卡中心确认，请 {wait}后再试，结果将短信告知。",
        "The card issuer is confirming your {change}; please try again in {wait}. We will send you a message.",
    )


class PickupOutletUnchanged(Refusal):
    code = RefusalCode.PICKUP_OUTLET_UNCHANGED
    text = Text(
        "所选网点就是现在的领卡网点，无需更改。",
        "The card is already to be collected at this outlet.",
    )


class ManufactureBegun(Refusal):
    code = RefusalCode.MANUFACTURE_BEGUN
    text = Text(
        "已开始制卡，不能再取消申请；制好后请到网点领取。",
        "The card is already being made, so the application can no longer be cancelled; please collect the card.",
    )
    next_step = _ASK


class CardBeingTransferred(Refusal):
    code = RefusalCode.CARD_BEING_TRANSFERRED
    text = Text(
        "卡片已在送往或已送达所选网点，不能再更改领卡网点。",
        "The card is on its way to the outlet, or there already, so the outlet can no longer be changed.",
    )
    next_step = _ASK


class NothingToCorrect(Refusal):
    code = RefusalCode.NOTHING_TO_CORRECT
    text = Text(
        "这笔申请目前没有需要更正的内容，请在「制卡进度查询」中查看进度。",
        "Nothing in this application is to be corrected now; see its production progress.",
    )


class NotToBeCorrected(Refusal):
    code = RefusalCode.NOT_TO_BE_CORRECTED
    text = Text(
        "{label}不在本次需要更正的内容中，请勿填写。",
        "{label} is not among what is to be corrected; please leave it out.",
    )


class CitizenDeceased(Refusal):
    code = RefusalCode.CITIZEN_DECEASED
    text = Text(
        "登记信息显示持卡人已故，不能在线办理。如登记有误，请本人持身份证到社保经办窗口更正。",
        "Our records say that the holder has died, so nothing can be done online. If they are wrong, please have them corrected at a social security office with your ID card.",
    )
    next_step = _ASK


class PortraitNotConfirmed(Refusal):
    code = RefusalCode.PORTRAIT_NOT_CONFIRMED
    text = Text(
        "请先上传并确认本人二寸白底彩色照片。",
        "Please upload and confirm your portrait first.",
    )


class IdDocumentsNotConfirmed(Refusal):
    code = RefusalCode.ID_DOCUMENTS_NOT_CONFIRMED
    text = Text(
        "请先上传身份证人像面和国徽面并确认。",
        "Please upload and confirm both sides of your ID card first.",
    )


class NoSuchPortrait(Refusal):
    code = RefusalCode.NO_SUCH_PORTRAIT
    text = Text(
        "没有找到这张照片，请重新上传。", "The portrait was not found; please upload it again."
    )


class PortraitNotAccepted(Refusal):
    code = RefusalCode.PORTRAIT_NOT_ACCEPTED
    text = Text(
        "这张照片没有通过预审，请按提示重新拍摄后上传。",
        "This portrait did not pass the review; please follow the advice and upload a new one.",
    )


class NoSuchPicture(Refusal):
    code = RefusalCode.NO_SUCH_PICTURE
    text = Text(
        "没有找到这张照片，可能已经删除；请重新打开申办页面查看。",
        "The picture was not found; it may have been deleted. Please open the application again.",
    )


class PictureSubmitted(Refusal):
    code = RefusalCode.PICTURE_SUBMITTED
    text = Text(
        "这张照片已随申请提交，或已确认待提交，不能删除；如需更换，请重新上传一张。",
        "This picture was submitted with your application, or confirmed for it, and cannot be deleted; "
        "to replace it, please upload another.",
    )


class FileTooLarge(Refusal):
    code = RefusalCode.FILE_TOO_LARGE
    text = Text("文件不能超过 {most} MB。", "The file must not exceed {most} MB.")


class NoticeChanged(Refusal):
    code = RefusalCode.NOTICE_CHANGED
    text = Text(
        "个人信息处理告知已更新，请阅读新版本后再同意。",
        "The privacy notice has changed; please read the new version and agree to it.",
    )


class ConsentNotGiven(Refusal):
    code = RefusalCode.CONSENT_NOT_GIVEN
    text = Text(
        "请先阅读并同意个人信息处理告知。",
        "Please read and agree to the privacy notice first.",
    )


class FileEmpty(Refusal):
    code = RefusalCode.FILE_EMPTY
    text = Text("文件是空的，请重新选择文件。", "The file is empty; please choose another.")


class TooManyUploads(Refusal):
    code = RefusalCode.TOO_MANY_UPLOADS
    text = Text(
        "上传次数过多，请 {wait}后再试。",
        "Too many uploads; please try again in {wait}.",
    )


class NoSuchUpload(Refusal):
    """Unknown, expired or another citizen's: which one is not disclosed."""

    code = RefusalCode.NO_SUCH_UPLOAD
    text = Text("上传已失效，请重新上传。", "The upload has expired; please upload the file again.")


class UploadIncomplete(Refusal):
    code = RefusalCode.UPLOAD_INCOMPLETE
    text = Text(
        "文件尚未传完（已收到 {received} / {size} 字节），请继续上传。",
        "The file is incomplete ({received} of {size} bytes received); please continue the upload.",
    )


class UploadOutOfStep(Refusal):
    code = RefusalCode.UPLOAD_OUT_OF_STEP
    text = Text(
        "上传位置不符，请从 Upload-Offset 所示位置继续。",
        "The offset does not match; please continue from the value of Upload-Offset.",
    )


class UnreadableImage(Refusal):
    code = RefusalCode.UNREADABLE_IMAGE
    text = Text(
        "无法识别这个文件，请上传 JPEG、PNG、WebP 或 HEIC 格式的照片。",
        "The file cannot be read; please upload a JPEG, PNG, WebP or HEIC picture.",
    )


class ImageFormatUnsupported(Refusal):
    """`format` names what the file is, `advice` what to do with one of that kind."""

    code = RefusalCode.IMAGE_FORMAT_UNSUPPORTED
    text = Text(
        "这个文件是「{format}」，只能上传 JPEG、PNG、WebP 或 HEIC 格式的照片。{advice}",
        "The file is {format}; only JPEG, PNG, WebP and HEIC pictures are accepted: {advice}",
    )


class ImageIncomplete(Refusal):
    """`missing` says how much, where that is known."""

    code = RefusalCode.IMAGE_INCOMPLETE
    text = Text(
        "照片文件不完整{missing}，可能没有传完或没有下载完；请在相册中确认能看到完整的照片，再重新上传。",
        "The picture is incomplete{missing}; it may not have been sent or downloaded to the end. "
        "Please check that the gallery shows all of it, then upload it again.",
    )


class ImageTooSmall(Refusal):
    code = RefusalCode.IMAGE_TOO_SMALL
    text = Text(
        "照片太小（{width}×{height} 像素），至少需要 {least_width}×{least_height} 像素。",
        "The picture is too small ({width}×{height} px); at least {least_width}×{least_height} px are needed.",
    )


class ImageTooLarge(Refusal):
    code = RefusalCode.IMAGE_TOO_LARGE
    text = Text(
        "照片像素过高（{width}×{height}），最多 {most} 百万像素；请关闭相机的高像素模式后重新拍摄。",
        "The picture has too many pixels ({width}×{height}, at most {most} megapixels); "
        "please switch off the camera's high-resolution mode and take the photo again.",
    )


# --- the service password ------------------------------------------------------------------


class PasswordWrong(Refusal):
    code = RefusalCode.PASSWORD_WRONG
    text = Text(
        "原密码不正确，还可以再试 {left} 次。",
        "The old password is wrong; attempts left: {left}.",
    )
    next_step = _FORGOTTEN
    commits = True


class PasswordLocked(Refusal):
    code = RefusalCode.PASSWORD_LOCKED
    text = Text(
        "原密码输错次数过多，密码变更已锁定，请 {wait}后再试。",
        "Too many wrong passwords: password changes are locked; please try again in {wait}.",
    )
    next_step = _FORGOTTEN
    commits = True


class PasswordTooSimple(Refusal):
    code = RefusalCode.PASSWORD_TOO_SIMPLE
    text = Text(
        "新密码过于简单：不能是同一数字、四位以内的重复（如 12121212）、连续数字、前后对称的数字（如 12344321）、出生日期或证件号码的一部分。",
        "The new password is too simple: do not use one repeated digit, up to four digits that repeat (12121212), a sequence, mirrored halves (12344321), your birth date or part of your ID number.",
    )


class PasswordsDiffer(Refusal):
    code = RefusalCode.PASSWORDS_DIFFER
    text = Text("两次输入的新密码不一致。", "The two new passwords do not match.")


class PasswordUnchanged(Refusal):
    code = RefusalCode.PASSWORD_UNCHANGED
    text = Text("新密码不能与原密码相同。", "The new password must differ from the old one.")


class PasswordNotSet(Refusal):
    code = RefusalCode.PASSWORD_NOT_SET
    text = Text(
        "您还没有服务密码，激活社会保障卡时会以短信下发。",
        "You have no service password yet: it is sent by SMS when a card is activated.",
    )


# --- transfer in ---------------------------------------------------------------------------


class TransferCardNotFound(Refusal):
    """Unknown or another citizen's: which one is not disclosed."""

    code = RefusalCode.TRANSFER_CARD_NOT_FOUND
    text = Text(
        "没有查到您名下的这张卡，请核对卡片头像面的卡号。",
        "You have no card with this number; please check the number on the portrait side.",
    )


class TransferCardNotActive(Refusal):
    code = RefusalCode.TRANSFER_CARD_NOT_ACTIVE
    text = Text(
        "该卡当前状态为「{state}」，只有正常状态的卡可以转入。",
        "The card is {state}; only an active card can be transferred in.",
    )
    next_step = NextStep(
        None,
        Text(
            "请先在发卡地恢复正常，可拨打 12333 咨询。",
            "It must be restored first where it was issued; call 12333 to ask.",
        ),
        NATIONAL_HOTLINE,
    )


class CardOutsideProvince(Refusal):
    code = RefusalCode.CARD_OUTSIDE_PROVINCE
    text = Text(
        "该卡不是四川省内的社会保障卡，不能转入。",
        "The card was not issued in Sichuan and cannot be transferred in.",
    )
    next_step = _ASK


class CardAlreadyHere(Refusal):
    code = RefusalCode.CARD_ALREADY_HERE
    text = Text(
        "该卡归属地已是成都，无需转入。", "The home region of this card is already Chengdu."
    )


class NoInsuranceChosen(Refusal):
    code = RefusalCode.NO_INSURANCE_CHOSEN
    text = Text(
        "请至少选择一项已在成都参保的险种。",
        "Please choose at least one insurance in which you are enrolled in Chengdu.",
    )


class InsuranceNotEnrolled(Refusal):
    code = RefusalCode.INSURANCE_NOT_ENROLLED
    text = Text(
        "您未在成都参加{insurance}，不能转入；参保关系转入请到社保局办理。",
        "You are not enrolled in {insurance} in Chengdu. An insurance relation is transferred at the "
        "social insurance bureau.",
    )
    next_step = _ASK


# --- ratings -------------------------------------------------------------------------------


class NoSuchHistoryEntry(Refusal):
    """Also for another citizen's, so that its existence is not disclosed."""

    code = RefusalCode.NO_SUCH_HISTORY_ENTRY
    text = Text(
        "没有找到可以评价的办理记录，请在「办理记录」中选择一项已办成的业务。",
        "There is no such service to rate; please choose one that was carried out from your service history.",
    )


class AlreadyRated(Refusal):
    code = RefusalCode.ALREADY_RATED
    text = Text(
        "这项业务您已经评价过，每项业务只能评价一次。",
        "You have rated this service already; each can be rated once.",
    )


# --- the system ----------------------------------------------------------------------------


class PartnerUnavailable(Refusal):
    code = RefusalCode.PARTNER_UNAVAILABLE
    text = Text(
        "{partner}暂时没有响应，请 {wait}后重试；您填写的内容没有丢失。",
        "{partner} is not responding; please try again in {wait}. Nothing you entered is lost.",
    )


class TryAgainLater(Refusal):
    code = RefusalCode.TRY_AGAIN_LATER
    text = Text(
        "系统繁忙，本次操作没有生效，请 {wait}后重试。",
        "The system is busy and nothing was changed; please try again in {wait}.",
    )


class OutcomeUnknown(Refusal):
    """The only refusal after which something may have been changed."""

    code = RefusalCode.OUTCOME_UNKNOWN
    text = Text(
        "系统没有收到本次操作的结果，可能已经办理成功，请 {wait}后先查询办理结果，确认没有办理再重试。",
        "The outcome is not known: this may have been carried out. Please check in {wait}, and try "
        "again only if it was not.",
    )


class IdempotencyKeyReused(Refusal):
    code = RefusalCode.IDEMPOTENCY_KEY_REUSED
    text = Text(
        "该 Idempotency-Key 已用于另一个请求，请换一个新的键。",
        "This Idempotency-Key was used for another request; please use a new one.",
    )


BY_CODE: dict[RefusalCode, type[Refusal]] = {
    refusal.code: refusal for refusal in Refusal.__subclasses__() if refusal is not InvalidFields
}
