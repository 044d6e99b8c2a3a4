"""Users: list, add, change."""

from cdl.embedded.determined import cluster_views as views
from cdl.embedded.determined.errors import ApiError, Code, invalid
from cdl.embedded.determined.fields import section, text, truth
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.web import Answer, Call, Routes, page

OWN = frozenset({"displayName", "password", "isHashed", "username"})  # what people may change of themselves


class People:
    """Endpoints of users."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.accounts = master.accounts

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        routes.add("GET", "/users", self.list)
        routes.add("POST", "/users", self.add)
        routes.add("GET", "/users/setting", self.settings)
        routes.add("GET", "/users/{id}", self.get)
        routes.add("GET", "/users/{username}/by-username", self.named)
        routes.add("PATCH", "/users/{id}", self.change)

    def list(self, call: Call) -> Answer:
        """List users, all or only the active or inactive ones."""
        active = call.flag("active")
        found = [user for user in self.accounts.users() if active is None or user.active == active]
        return page(call, "users", [views.user(user) for user in found])

    def get(self, call: Call) -> Answer:
        """Show one."""
        return {"user": views.user(self.accounts.user(call.id()))}

    def named(self, call: Call) -> Answer:
        """Show one by name."""
        return {"user": views.user(self.accounts.user_named(call.path("username")))}

    def settings(self, _call: Call) -> Answer:
        """Say that nobody keeps settings of the web pages that this master does not have."""
        return {"settings": []}

    def add(self, call: Call) -> Answer:
        """Add a user."""
        call.admin("add users")
        if truth(call.body, "user", "remote"):
            raise invalid("remote users need a single sign-on, which this master has not")
        made = self.accounts.add(
            text(call.body, "user", "username"),
            self._password(call, text(call.body, "password")),
            admin=truth(call.body, "user", "admin"),
            active=truth(call.body, "user", "active", default=True),
            display_name=text(call.body, "user", "displayName"),
        )
        return {"user": views.user(made)}

    def change(self, call: Call) -> Answer:
        """Change one: an admin everything, others only their own names and password."""
        given = {name for name, value in call.body.items() if value is not None}
        number = call.id()
        if number != call.user.id or not given <= OWN:
            call.admin("change other users, or more of themselves than names and password")
        if truth(call.body, "remote"):
            raise invalid("remote users need a single sign-on, which this master has not")
        if section(call.body, "agentUserGroup"):
            raise ApiError(Code.UNIMPLEMENTED, "trials of this master run as the user that started it")
        flags: dict[str, str | bool] = {
            name: truth(call.body, name) for name in ("admin", "active") if call.body.get(name) is not None
        }
        if call.body.get("displayName") is not None:
            flags["display_name"] = text(call.body, "displayName")
        password = call.body.get("password")
        name = call.body.get("username")
        changed = self.accounts.change(
            number,
            username=name if isinstance(name, str) else None,
            password=self._password(call, password) if isinstance(password, str) else None,
            **flags,
        )
        return {"user": views.user(changed)}

    def _password(self, call: Call, sent: str) -> str:
        if sent and not truth(call.body, "isHashed"):
            raise invalid("the password must be sent hashed")
        return sent
