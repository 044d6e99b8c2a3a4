"""A machine that burnt down: what a backup brings back, and what it refuses."""

import shutil


def test_an_empty_machine_serves_the_same_digests_without_training_again(place, tmp_path):
    place.run()
    release, backup = place.get("release", "tiny-1"), tmp_path / "backup.tar.gz"
    taken = place.cdl("backup", backup)
    assert taken.returncode == 0, taken.stderr
    assert f"CDL_HOME={place.home} cdl restore {backup}" in taken.stdout
    runs = place.get("experiment")["status"]["run"]["id"]
    place.cdl("stop")
    shutil.rmtree(place.home)
    shutil.rmtree(place.data)
    place.data.mkdir()

    back = place.cdl("restore", backup)
    assert back.returncode == 0, back.stderr
    assert "nothing changed, so nothing was run again" in place.run()
    assert place.get("release", "tiny-1")["spec"] == release["spec"]
    assert place.get("modeldeployment")["status"]["digest"] == release["spec"]["digest"]
    assert place.get("experiment")["status"]["run"]["id"] == runs
    asked = place.cdl("predict", "tiny", place.project / "samples" / "rising.txt")
    assert asked.returncode == 0, asked.stderr
    assert "tiny-1" in asked.stdout

    again = place.cdl("restore", backup)
    assert again.returncode == 1
    assert again.stderr.strip() == f"Error: {place.home}: found something there, allowed: an empty folder, or none yet"


def test_a_backup_says_in_one_sentence_what_is_wrong(place, tmp_path):
    for words, said in (
        (("backup", tmp_path / "b.tar.gz"), "there is nothing to back up"),
        (("restore", tmp_path / "b.tar.gz"), "no such file"),
    ):
        answer = place.cdl(*words)
        assert answer.returncode == 1
        assert said in answer.stderr
        assert "Traceback" not in answer.stderr
    place.home.mkdir()
    answer = place.cdl("backup", place.home / "b.tar.gz")
    assert answer.returncode == 1
    assert "lies inside of" in answer.stderr
