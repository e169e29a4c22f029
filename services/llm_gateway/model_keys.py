"""Use cases around the keys that organisations bring: checked, kept encrypted, shown masked, read for a call alone."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.kit.crypto import SealedSecretError, Vault, masked
from services.kit.errors import AppError, Reason, Violation
from services.kit.ids import new_id
from services.kit.telemetry import log
from services.llm_gateway.accounting import Credential
from services.llm_gateway.configuration import ByokConfiguration, ModelConfiguration, OrganizationModels, parse
from services.llm_gateway.credential_store import CredentialStore

FORBIDDEN = frozenset(map(chr, range(33))) | {"\x7f"}  # what no header may hold; the JSON of a service account may
_BATCH = 100
_logger = log.get("model_keys")

# Answers the origin that a key would be sent to; raises ValueError, saying why, for an address that is not permitted.
AddressGuard = Callable[[ModelConfiguration], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A key as one slot of the stored configuration has it."""

    id: UUID
    mask: str


class ModelKeys:
    """The keys of organisations. No method logs a key or puts one into an error."""

    def __init__(
        self,
        store: CredentialStore,
        vault: Vault,
        guard: AddressGuard,
        ids: Callable[[], UUID] = new_id,
    ) -> None:
        self._store = store
        self._vault = vault
        self._guard = guard
        self._ids = ids

    async def keep(
        self, organization_id: UUID, value: Mapping[str, Any], previous: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Check a configuration and keep its keys; answers it with masks and ids in their place.

        Raises AppError(INVALID_REQUEST) that names each field that is wrong.
        """
        wanted = parse(value)
        kept = _kept(previous)
        known = await self._store.find(organization_id, {each.id for each in kept.values()})
        new: dict[tuple[str, str, str], Credential] = {}
        used: dict[str, Credential] = {}
        violations: list[Violation] = []
        for slot, model in wanted.byokConfig.slots() if wanted.byokConfig else ():
            try:
                origin = await self._guard(model)
            except ValueError as error:
                violations.append(Violation(f"byokConfig.{slot}.baseURL", str(error)))
                continue
            try:
                found = self._credential(organization_id, slot, model, origin, kept, known)
            except ValueError as error:
                violations.append(Violation(f"byokConfig.{slot}.apiKey", str(error)))
                continue
            if found is None:
                continue
            if found.id not in known:
                # The same key twice is one credential, with one limit and one circuit.
                found = new.setdefault((found.provider, origin, model.apiKey.strip()), found)
            used[slot] = found
        if violations:
            raise AppError(Reason.INVALID_REQUEST, violations=violations)
        await self._store.replace(organization_id, list(new.values()), {each.id for each in used.values()})
        return _answer(value, wanted, used)

    async def resolve(self, organization_id: UUID, model: ModelConfiguration) -> str | None:
        """Answer the key of a stored model, None where it has none. Raises AppError(MODEL_NOT_CONFIGURED)."""
        if not model.apiKeyId:
            return None
        try:
            key_id = UUID(model.apiKeyId)
        except ValueError:
            raise _gone() from None
        found = (await self._store.find(organization_id, [key_id])).get(key_id)
        if found is None:
            raise _gone()
        return self._open(found)

    async def offered(self, organization_id: UUID, model: ModelConfiguration, stored: Mapping[str, Any]) -> str | None:
        """Answer the key to test a model with: the one that is sent, or the stored one whose mask is sent."""
        origin = await self._guard(model)
        kept = _kept(stored)
        known = await self._store.find(organization_id, {each.id for each in kept.values()})
        found = self._credential(organization_id, "", model, origin, kept, known)
        return None if found is None else self._open(found)

    async def reencrypt(self) -> int:
        """Write every key that an earlier master key encrypts anew under the current one; answers how many."""
        position: tuple[UUID, UUID] | None = None
        changed = 0
        while batch := await self._store.after(position, _BATCH):
            for each in batch:
                position = each.organization_id, each.id
                if not self._vault.is_current(each.ciphertext):
                    again = self._vault.reencrypt(each.ciphertext, each.organization_id, _field(each.id))
                    changed += await self._store.rewrite(each, again)
        return changed

    def _credential(
        self,
        organization_id: UUID,
        slot: str,
        model: ModelConfiguration,
        origin: str,
        kept: Mapping[str, _Kept],
        known: Mapping[UUID, Credential],
    ) -> Credential | None:
        """Answer the credential of a slot: the stored one whose mask is sent back, or a new one; None for no key."""
        key = model.apiKey.strip()
        if not key:
            if model.provider != "openai_compatible":
                raise ValueError("is needed")
            return None
        if "…" in key:
            return self._echoed(slot, key, model.provider, origin, kept, known)
        if model.provider != "google_vertex" and not FORBIDDEN.isdisjoint(key):
            raise ValueError("holds a space, a line break or another character that no key has")
        made = self._ids()
        sealed = self._vault.encrypt(key, organization_id, _field(made))
        return Credential(made, organization_id, model.provider, origin, sealed, masked(key))

    def _echoed(
        self,
        slot: str,
        mask: str,
        provider: str,
        origin: str,
        kept: Mapping[str, _Kept],
        known: Mapping[UUID, Credential],
    ) -> Credential:
        same = [each for each in kept.values() if each.mask == mask and each.id in known]
        at_slot = kept.get(slot)
        chosen = at_slot if at_slot in same else next(iter(same), None)
        if chosen is None or (chosen is not at_slot and len({each.id for each in same}) > 1):
            raise ValueError("is the mask of a key that is not stored; send the key itself")
        found = known[chosen.id]
        if (found.provider, found.origin) != (provider, origin):
            # Otherwise whoever may change an address could have the key sent to one of their own.
            raise ValueError("is stored for another provider or address; send the key itself")
        return found

    def _open(self, credential: Credential) -> str:
        try:
            return self._vault.decrypt(credential.ciphertext, credential.organization_id, _field(credential.id))
        except SealedSecretError as error:
            _logger.error("a model key cannot be read", credential=str(credential.id), problem=str(error))
            raise AppError(
                Reason.MODEL_NOT_CONFIGURED, "The stored key of the model cannot be read any more; save it anew."
            ) from None


def _field(key_id: UUID) -> str:
    return f"llm_gateway.credentials/{key_id}/api_key"


def _gone() -> AppError:
    return AppError(Reason.MODEL_NOT_CONFIGURED, "The key of the model is not stored any more; save it anew.")


def _kept(stored: Mapping[str, Any]) -> dict[str, _Kept]:
    """The keys of a stored configuration by slot; one that this version no longer accepts has none."""
    try:
        byok = parse({k: v for k, v in stored.items() if k == "byokConfig"}).byokConfig
    except AppError:
        return {}
    found: dict[str, _Kept] = {}
    for slot, model in byok.slots() if byok else ():
        try:
            found[slot] = _Kept(UUID(model.apiKeyId), model.apiKey)
        except ValueError:
            continue  # no key
    return found


def _answer(value: Mapping[str, Any], wanted: OrganizationModels, used: Mapping[str, Credential]) -> dict[str, Any]:
    answer: dict[str, Any] = {name: value[name] for name in ("byokConfig", "llmProvider") if name in value}
    if wanted.byokConfig is not None:
        answer["byokConfig"] = _shown(wanted.byokConfig, used)
    return answer


def _shown(byok: ByokConfiguration, used: Mapping[str, Credential]) -> dict[str, Any]:
    def one(slot: str, model: ModelConfiguration) -> dict[str, Any]:
        shown = model.model_dump(exclude_unset=True, exclude={"apiKey", "apiKeyId"})
        if slot in used:
            shown |= {"apiKey": used[slot].mask, "apiKeyId": str(used[slot].id)}
        return shown

    slots = {slot: one(slot, model) for slot, model in byok.slots()}
    answer = {slot: shown for slot, shown in slots.items() if "." not in slot}
    models: dict[str, Any] = {s.removeprefix("models."): m for s, m in slots.items() if s.startswith("models.")}
    fallbacks = [models.pop(name) for name in list(models) if name.startswith("fallbacks[")]
    if fallbacks:
        models["fallbacks"] = fallbacks
    return answer | ({"models": models} if models else {})
