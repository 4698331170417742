"""The insurance types of 查询险种 (AAE140 codes, names and order as in the guide)."""

from enum import StrEnum

from core.kernel.texts import Text


class InsuranceType(StrEnum):
    PENSION = "110"
    MEDICAL = "310"
    UNEMPLOYMENT = "210"
    WORK_INJURY = "410"
    MATERNITY = "510"


INSURANCE_NAMES = {
    InsuranceType.PENSION: Text("养老保险", "Pension"),
    InsuranceType.MEDICAL: Text("医疗保险", "Medical"),
    InsuranceType.UNEMPLOYMENT: Text("失业保险", "Unemployment"),
    InsuranceType.WORK_INJURY: Text("工伤保险", "Work injury"),
    InsuranceType.MATERNITY: Text("生育保险", "Maternity"),
}
