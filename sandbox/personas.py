"""The personas of the sandbox: one for every state that a citizen can be in.

All are invented. Their numbers pass the check of GB 11643 and their phones have the
format of mobile numbers, so that they pass the same checks as real ones.
"""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

from core.kernel.callers import ChannelId
from core.reference import InsuranceType

CHENGDU = "510100"
MIANYANG = "510700"
DEYANG = "510600"
CHONGQING = "500100"

REGION_NAMES = {
    CHENGDU: "成都市",
    MIANYANG: "绵阳市",
    DEYANG: "德阳市",
    CHONGQING: "重庆市",
}

SEALED, ACTIVE, LOST, LOCKED, TEMPORARILY_LOST, CANCELLED = "0", "1", "2", "3", "4", "9"

_SERVICE_PASSWORDS = {
    "active": "40917258",
    "lost": "58203714",
    "temporarily-lost": "27461905",
    "locked": "86319472",
    "cancelled": "70528163",
}
"""Of the personas that have activated their card."""

_EVERY_INSURANCE = frozenset(InsuranceType)
_FIRST_NODES = ("INTAKE", "BANK_ACCOUNT")


@dataclass(frozen=True, slots=True)
class Persona:
    """An invented citizen, as all platforms and partners know them.

    `card_number`, `card_state` (AAZ502), `issue_date` (ISO 8601) and `bank_code` are of the
    card in `region_code`. Where that is not Chengdu, the gateway knows of no card: only the
    provincial card registry does. `open_order` is the number of an application under way,
    of which `nodes_done` have been reported.
    """

    id: str
    name: str
    social_security_number: str
    phone: str
    description: str
    insurances: frozenset[InsuranceType]
    card_number: str | None = None
    card_state: str | None = None
    region_code: str = CHENGDU
    issue_date: str | None = None
    bank_code: str | None = None
    batch_number: str | None = None
    outlet_code: str | None = None
    open_order: str | None = None
    nodes_done: tuple[str, ...] = ()

    @property
    def holds_chengdu_card(self) -> bool:
        return self.card_state is not None and self.region_code == CHENGDU

    @property
    def service_password(self) -> str | None:
        return _SERVICE_PASSWORDS.get(self.id)

    @property
    def birth_date(self) -> date:
        return date.fromisoformat(self.social_security_number[6:14])

    @property
    def gender_code(self) -> str:
        """GB/T 2261.1: the number's 17th digit is odd for men."""
        return "1" if int(self.social_security_number[16]) % 2 else "2"

    @property
    def region_name(self) -> str:
        return REGION_NAMES[self.region_code]

    def account(self, channel: ChannelId) -> str:
        """The user key under which the channel's platform knows the person, always the same."""
        return "o" + hashlib.sha256(f"{channel}|{self.id}".encode()).hexdigest()[:27]

    def shown(self) -> dict[str, Any]:
        """As `GET /sandbox/personas` lists the person."""
        return {
            "id": self.id,
            "name": self.name,
            "socialSecurityNumber": self.social_security_number,
            "phone": self.phone,
            "cardNumber": self.card_number,
            "servicePassword": self.service_password,
            "description": self.description,
        }


_PEOPLE = (
    Persona(
        id="active",
        name="林若溪",
        social_security_number="510104199104151236",
        phone="19900001001",
        description="持有正常状态的成都社保卡",
        insurances=_EVERY_INSURANCE,
        card_number="SAMPLE01X",
        card_state=ACTIVE,
        issue_date="2021-03-15",
        bank_code="SAMPLE-ICBC",
        batch_number="SAMPLE-2021031001",
    ),
    Persona(
        id="sealed",
        name="周子墨",
        social_security_number="510105199308222469",
        phone="19900001002",
        description="新卡已领，尚未激活（封存）",
        insurances=_EVERY_INSURANCE,
        card_number="SAMPLE028",
        card_state=SEALED,
        issue_date="2025-01-12",
        bank_code="SAMPLE-CCB",
        batch_number="SAMPLE-2025010501",
    ),
    Persona(
        id="lost",
        name="陈慕言",
        social_security_number="510121197607091359",
        phone="19900001003",
        description="已挂失，可以解挂或补卡",
        insurances=_EVERY_INSURANCE,
        card_number="SAMPLE036",
        card_state=LOST,
        issue_date="2018-06-20",
        bank_code="SAMPLE-ABC",
        batch_number="SAMPLE-2018061001",
    ),
    Persona(
        id="temporarily-lost",
        name="吴思远",
        social_security_number="51010719920318258X",
        phone="19900001004",
        description="已通过 12333 电话临时挂失，七天后自动恢复",
        insurances=_EVERY_INSURANCE,
        card_number="SAMPLE044",
        card_state=TEMPORARILY_LOST,
        issue_date="2019-11-05",
        bank_code="SAMPLE-BOC",
        batch_number="SAMPLE-2019102801",
    ),
    Persona(
        id="locked",
        name="阿米娜·买买提",
        social_security_number="510121198501273271",
        phone="19900001005",
        description="社保密码多次输错，卡已应用锁定，须到网点解锁",
        insurances=_EVERY_INSURANCE,
        card_number="SAMPLE052",
        card_state=LOCKED,
        issue_date="2017-09-08",
        bank_code="SAMPLE-PSBC",
        batch_number="SAMPLE-2017090101",
    ),
    Persona(
        id="cancelled",
        name="郑清和",
        social_security_number="510121196811051376",
        phone="19900001006",
        description="原卡已注销，可以重新申办",
        insurances=frozenset({InsuranceType.PENSION, InsuranceType.MEDICAL}),
        card_number="SAMPLE060",
        card_state=CANCELLED,
        issue_date="2015-04-17",
        bank_code="SAMPLE-BOCD",
        batch_number="SAMPLE-2015041001",
    ),
    Persona(
        id="in-production",
        name="何一诺",
        social_security_number="510114200306134627",
        phone="19900001007",
        description="申办已受理并完成银行开户，正在等待制卡",
        insurances=frozenset({InsuranceType.PENSION, InsuranceType.MEDICAL}),
        bank_code="SAMPLE-ICBC",
        batch_number="SAMPLE-2025010601",
        outlet_code="SAMPLE-510104-1",
        open_order="SBK202501060000000007",
        nodes_done=_FIRST_NODES,
    ),
    Persona(
        id="no-card",
        name="唐晓舟",
        social_security_number="510107200209241451",
        phone="19900001008",
        description="没有社保卡，可以申办",
        insurances=frozenset({InsuranceType.PENSION, InsuranceType.MEDICAL}),
    ),
    Persona(
        id="other-city",
        name="罗明川",
        social_security_number="51070319940530153X",
        phone="19900001009",
        description="持有绵阳市的正常社保卡，已在成都参保，可以把卡归属地转入成都",
        insurances=frozenset(
            {InsuranceType.PENSION, InsuranceType.MEDICAL, InsuranceType.UNEMPLOYMENT}
        ),
        card_number="SAMPLE079",
        card_state=ACTIVE,
        region_code=MIANYANG,
        issue_date="2020-07-01",
        bank_code="SAMPLE-CCB",
    ),
    Persona(
        id="other-province",
        name="余望江",
        social_security_number="500103199702111682",
        phone="19900001010",
        description="持有重庆市的正常社保卡，省外的卡不能转入",
        insurances=frozenset({InsuranceType.PENSION, InsuranceType.MEDICAL}),
        card_number="SAMPLE087",
        card_state=ACTIVE,
        region_code=CHONGQING,
        issue_date="2019-02-28",
        bank_code="SAMPLE-ABC",
    ),
    Persona(
        id="unenrolled",
        name="蒋德宁",
        social_security_number="51060319960719284X",
        phone="19900001011",
        description="持有德阳市的正常社保卡，但未在成都参保，不能转入",
        insurances=frozenset(),
        card_number="SAMPLE095",
        card_state=ACTIVE,
        region_code=DEYANG,
        issue_date="2022-10-10",
        bank_code="SAMPLE-ICBC",
    ),
    Persona(
        id="minor",
        name="苏小满",
        social_security_number="510104201705203628",
        phone="19900001012",
        description="未满十六周岁，可以申办，金融代扣须由监护人陪同办理",
        insurances=frozenset({InsuranceType.MEDICAL}),
    ),
)

PERSONAS: dict[str, Persona] = {persona.id: persona for persona in _PEOPLE}


def persona_by_number(social_security_number: str) -> Persona | None:
    return next((p for p in _PEOPLE if p.social_security_number == social_security_number), None)


def persona_by_account(channel: ChannelId, account: str) -> Persona | None:
    return next((p for p in _PEOPLE if p.account(channel) == account), None)
