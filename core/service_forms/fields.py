"""What a form of the guide consists of. All of it is plain data, the same for everybody."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.applications import FieldType
from core.imaging import Side
from core.kernel.card_services import CardService
from core.kernel.texts import Text
from core.messaging import VerificationPurpose
from core.reference import LABELS, Option, Reference

CHOOSE = Text("-请选择-", "-Please choose-")
_GET_CODE = Text("获取验证码", "Get the code")


@dataclass(frozen=True, slots=True)
class Argument:
    """`source` is the name of a field of the section, or the path of a query's value, with a dot."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class OptionsQuery:
    """The query of the schema that returns the options of a field."""

    operation: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Button:
    """A button beside a field. `purpose` is that of `sendVerificationCode`."""

    label: Text
    operation: str
    arguments: tuple[Argument, ...]
    purpose: VerificationPurpose | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """`caption` stands above the sample, or without one above the result; `min_size` is width and height in
    pixels; `sample` is a path below the gateway's address."""

    operation: str
    caption: Text
    min_size: tuple[int, int]
    side: Side | None = None
    sample: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """`name` is that of the operation's input, or of what is shown a path in the operation's result.

    `choices` are codes with their names; `table` returns the options of a code table.
    """

    name: str
    label: Text
    type: FieldType = FieldType.TEXT
    help: Text | None = None
    placeholder: Text | None = None
    required: bool = True
    default: str | None = None
    choices: tuple[tuple[str, Text], ...] = ()
    table: Callable[[Reference], Sequence[Option]] | None = None
    options_query: OptionsQuery | None = None
    button: Button | None = None
    upload: Upload | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """`operation` is submitted by the button `submit_label`; without one it is a query, and the fields
    are shown."""

    operation: str
    fields: tuple[Field, ...]
    submit_label: Text | None = None
    title: Text | None = None
    instruction: Text | None = None


@dataclass(frozen=True, slots=True)
class ServiceForm:
    service: CardService
    steps: tuple[Text, ...]
    sections: tuple[Section, ...]
    tips: tuple[Text, ...] = ()


def please_enter(label: Text) -> Text:
    return Text(f"请输入{label.zh}", f"Please enter: {label.en.lower()}")


def shown(name: str, label: Text, kind: FieldType = FieldType.TEXT) -> Field:
    return Field(name, label, kind, required=False)


def phone_field(help: Text, name: str = "phone") -> Field:
    label = LABELS[name]
    return Field(name, label, FieldType.DIGITS, help, please_enter(label))


def card_number_field(button: Button | None = None) -> Field:
    return Field(
        "cardNumber",
        LABELS["cardNumber"],
        FieldType.TEXT,
        Text("此卡号位于社会保障卡头像面", "On the portrait side of the card"),
        please_enter(LABELS["cardNumber"]),
        button=button,
    )


def code_field(
    purpose: VerificationPurpose,
    phone: str = "phone",
    send: Text = _GET_CODE,
) -> Field:
    """`phone` is the name of the field whose phone gets the code."""
    return Field(
        "code",
        LABELS["code"],
        FieldType.DIGITS,
        Text(
            f"6 位数字，点击“{send.zh}”后由短信发送",
            f"6 digits, sent by SMS when you press “{send.en}”",
        ),
        please_enter(LABELS["code"]),
        button=Button(send, "sendVerificationCode", (Argument("phone", phone),), purpose),
    )
