package policies.lib.words_test

import data.policies.lib.words

test_a_word_of_an_element_says_data if {
	every element in {"uploads", "User_Uploads", "log", "tls.d"} {
		words.is_data(element)
	}
	not words.is_data("catalogue")
	not words.is_data("html")
}

test_some_words_may_say_data if {
	words.is_doubtful("wp-content")
	not words.is_doubtful("src")
}

test_a_name_of_code_has_no_other_word if {
	every name in {"code", "app-pvc", "app-2", "SRC_volume2", "my.www"} {
		words.names_code(name)
	}
	every name in {"", "pvc", "app-data", "2"} {
		not words.names_code(name)
	}
}

test_a_framework_is_a_word if {
	words.names_framework("my-django")
	not words.names_framework("djangonauts")
}

test_the_ending_follows_the_last_dot if {
	words.ending("/a/b.tar.gz") == "gz"
	not words.ending("/a/b")
}
