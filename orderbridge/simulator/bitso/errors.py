"""Bitso's error codes: the ones that the simulator can give, with the HTTP status of their category."""

from collections.abc import Mapping
from typing import Any, Final

# Source: Bitso API v3, error pages; the texts are ours. Callers are to branch on the code.
MESSAGES: Final[Mapping[str, tuple[str, str]]] = {
    "0101": ("Unknown error", "Error desconocido"),
    "0201": ("Invalid Nonce or Invalid Credentials", "Nonce o credenciales inválidas"),
    "0206": ("Invalid nonce type", "Tipo de nonce inválido"),
    "0207": ("Nonce is not valid", "Nonce no válido"),
    "0208": ("Authentication is required", "Se requiere autenticación"),
    "0215": ("Invalid Nonce or Invalid Credentials", "Nonce o credenciales inválidas"),
    "0301": ("Unknown order book", "Libro desconocido"),
    "0302": ("Invalid time in force", "Vigencia inválida"),
    "0303": ("A required field is missing", "Falta un campo requerido"),
    "0304": ("A field is not valid", "Un campo no es válido"),
    "0306": ("Invalid side", "Lado inválido"),
    "0307": ("Invalid order type", "Tipo de orden inválido"),
    "0308": ("Give either major or minor, not both", "Indique major o minor, no ambos"),
    "0309": ("Give either major or minor", "Indique major o minor"),
    "0312": ("Invalid order id", "Identificador de orden inválido"),
    "0313": ("Unknown currency", "Moneda desconocida"),
    "0320": ("Invalid paging parameters", "Paginación inválida"),
    "0321": ("Unknown trade id", "Operación desconocida"),
    "0322": ("Unknown URL", "URL desconocida"),
    "0356": ("Duplicate origin id", "origin_id duplicado"),
    "0357": ("Unknown origin id", "origin_id desconocido"),
    "0360": ("One of the identifying fields is needed", "Se requiere un identificador"),
    "0361": ("Only one of the identifying fields is allowed", "Solo se permite un identificador"),
    "0372": ("A value has the wrong type", "Un valor tiene el tipo incorrecto"),
    "0377": ("Order was matched, trades are still processing", "Operaciones en proceso"),
    "0378": ("Order has not been matched yet", "La orden aún no tiene operaciones"),
    "0379": ("Balance is too low", "Saldo insuficiente"),
    "0401": ("Price is too low", "Precio demasiado bajo"),
    "0402": ("Price is too high", "Precio demasiado alto"),
    "0403": ("Amount is too small", "Monto demasiado pequeño"),
    "0404": ("Amount is too large", "Monto demasiado grande"),
    "0405": ("Value is too small", "Valor demasiado pequeño"),
    "0406": ("Value is too large", "Valor demasiado grande"),
    "0407": ("Invalid precision", "Precisión inválida"),
    "0408": ("Amount must be greater than zero", "El monto debe ser mayor que cero"),
    "0410": ("Trading is not enabled", "Libro sin operaciones"),
    "0411": ("Market orders are not enabled", "Órdenes de mercado deshabilitadas"),
    "0412": ("Stop is too low", "Stop demasiado bajo"),
    "0413": ("Stop is too high", "Stop demasiado alto"),
    "0801": ("Rate limit exceeded", "Límite de peticiones excedido"),
    "0901": ("HTTP method is not supported", "Método HTTP no soportado"),
    "1002": ("Unable to process the order", "No se pudo procesar la orden"),
    "1001": ("Too many open orders", "Demasiadas órdenes abiertas"),
    "1005": ("Invalid operation", "Operación inválida"),
    "1008": ("Trading is disabled", "Operaciones deshabilitadas"),
}

_STATUS: Final[Mapping[str, int]] = {"01": 500, "02": 401, "08": 420, "11": 500, "14": 404}


class BitsoRefusal(Exception):
    """The request is refused with this code. `status` overrides the one of the code's category."""

    def __init__(self, code: str, *, about: str = "", status: int | None = None) -> None:
        super().__init__(code, about)
        self.code = code
        self.about = about
        self.status = status or _STATUS.get(code[:2], 400)


def error_body(code: str, *, about: str = "", language: str = "en", style: str = "new") -> dict[str, Any]:
    """The documented envelope; the newer style adds two fields, the oldest had a number as code."""
    message = MESSAGES[code][language == "es"]
    error: dict[str, Any] = {"code": code, "message": f"{message}: {about}" if about else message}
    if style == "new":
        error |= {"details": [], "errorData": None}
    if style == "number":
        error["code"] = int(code)
    return {"success": False, "error": error}
