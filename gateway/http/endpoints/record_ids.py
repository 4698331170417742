"""`{name:record_id}` in the path of a route: any digits; 0, which no record has, if they are no id."""

from starlette.convertors import Convertor, register_url_convertor

from core.kernel.ids import id_from


class RecordId(Convertor[int]):
    regex = "[0-9]+"

    def convert(self, value: str) -> int:
        return id_from(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("record_id", RecordId())
