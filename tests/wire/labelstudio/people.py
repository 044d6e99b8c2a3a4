"""People at a Label Studio, through its makers' library; runs in Label Studio's own environment, one JSON a line."""

import json
import sys

from label_studio_sdk import LabelStudio


class People:
    """Who looks at tasks and answers."""

    def __init__(self, url, token):
        self.client = LabelStudio(base_url=url, api_key=token)
        self.numbers = {}

    def found(self, title, config):
        return str(self.client.projects.create(title=title, label_config=config).id)

    def shown(self, project):
        kept = self.client.projects.get(id=int(project))
        tasks = [[one.data, self._proposed(one)] for one in self._tasks(project)]
        return [kept.title, kept.label_config, tasks, kept.description]

    def exists(self, project):
        return any(str(one.id) == project for one in self.client.projects.list())

    def brought(self, project, tasks):
        """Import tasks of one's own."""
        self.client.projects.import_tasks(id=int(project), request=tasks)

    def answered(self, project, item, choices, who, skipped):
        (task,) = [one for one in self._tasks(project) if (one.meta or {}).get("cdl", {}).get("item") == item][-1:]
        result = self._result(choices)
        said = {"result": result, "was_cancelled": skipped, "completed_by": self._number(who)}
        return str(self.client.annotations.create(id=task.id, **said).id)

    def changed(self, answer, choices):
        self.client.annotations.update(id=int(answer), result=self._result(choices))

    def drafted(self, project, choices):
        """Begin to answer the only task, and leave it."""
        (task,) = self._tasks(project)
        self.client.annotations  # noqa: B018 - the library has no drafts; its connection is used
        request = self.client._client_wrapper.httpx_client.request
        request(f"api/tasks/{task.id}/drafts", method="POST", json={"result": self._result(choices)})

    def removed(self, project):
        """Remove the newest task."""
        self.client.tasks.delete(id=str(self._tasks(project)[-1].id))

    def personal_token(self):
        """Make a token of the new kind."""
        answer = self.client._client_wrapper.httpx_client.request("api/token/", method="POST", json={})
        return answer.json()["token"]

    def _tasks(self, project):
        return sorted(self.client.tasks.list(project=int(project), fields="all"), key=lambda one: one.id)

    def _proposed(self, task):
        found = [one["result"] if isinstance(one, dict) else one.result for one in task.predictions or []]
        return found[0][0]["value"]["choices"][0] if found else ""

    def _result(self, choices):
        one = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": choices}}
        return [one] if choices else []

    def _number(self, mail):
        if mail not in self.numbers:
            known = {one.email: one.id for one in self.client.users.list()}
            self.numbers[mail] = known.get(mail) or self.client.users.create(email=mail, username=mail).id
        return self.numbers[mail]


def main():
    people = People(*sys.argv[1:])
    for line in sys.stdin:
        name, *words = json.loads(line)
        try:
            answer = {"answer": getattr(people, name)(*words)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
