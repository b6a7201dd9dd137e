package policies.lib.commands_test

import data.policies.lib.commands

test_a_program_is_told_what_to_run if {
	commands.runs("java", "-jar", 4, "/a.jar")
	commands.runs("python3", "", 1, "/a")
	commands.runs("sh", "-ex", 1, "/a")
	commands.runs("spark-submit", "", 3, "/a.py")
}

test_other_words_are_not_run if {
	not commands.runs("java", "", 1, "/a.jar")
	not commands.runs("python3", "", 2, "/a.py")
	not commands.runs("python3", "-u", 2, "/a.py")
	not commands.runs("python3", "-m", 1, "/a.py")
	not commands.runs("spark-submit", "", 3, "/a")
	not commands.runs("cat", "", 1, "/a.py")
}

test_the_node_has_its_own_folders if {
	commands.on_node("hostPath", "/")
	commands.on_node("hostPath", "/usr/local/bin/")
	commands.on_node("hostPath", "/opt/cni")
}

test_other_folders_are_not_the_nodes_own if {
	not commands.on_node("hostPath", "/opt/app")
	not commands.on_node("hostPath", "/usrlocal")
	not commands.on_node("hostPath", "")
	not commands.on_node("nfs", "/usr")
}
