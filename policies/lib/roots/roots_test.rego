package policies.lib.roots_test

import data.policies.lib.roots

test_a_path_holds_what_its_server_reads if {
	roots.at("/usr/local/tomcat/webapps", "tomcat") == {_known("strong", "/usr/local/tomcat/webapps holds the web applications of Tomcat")}
	roots.at("/usr/share/nginx", "nginx") == {_known("strong", "/usr/share/nginx holds the pages of nginx")}
}

test_a_path_counts_less_for_other_images if {
	roots.at("/usr/share/nginx", "shop") == {_known("weak", "/usr/share/nginx holds the pages of nginx")}
	roots.at("/usr/local/tomcat", "shop") == set()
	roots.at("/usr/share/nginx/html", "busybox") == set()
}

test_an_unknown_path_holds_nothing if {
	not roots.at("/srv/shop", "nginx")
}

test_below_a_path_is_the_same if {
	roots.below("/usr/share/nginx/html/a/b", "/usr/share/nginx/html", "nginx") == {_known("strong", _html)}
	roots.below("/usr/share/nginx/html/static", "/usr/share/nginx/html", "nginx") == {_known("weak", _html)}
	roots.below("/usr/share/nginx/html/a", "/usr/share/nginx/html", "shop") == {_known("weak", _html)}
}

test_below_a_path_is_something_else if {
	roots.below("/usr/share/nginx/html/a/uploads", "/usr/share/nginx/html", "nginx") == set()
	roots.below("/usr/share/nginx/html/a", "/usr/share/nginx/html", "busybox") == set()
	roots.below("/opt/drupal/web/modules/x", "/opt/drupal/web/modules", "shop") == set()
}

test_a_folder_says_code_by_its_name if {
	roots.directory(["opt", "webapps"], 1, "shop") == {_known("strong", _webapps)}
	roots.directory(["opt", "webapps", "a"], 1, "shop") == {_known("weak", _webapps)}
	roots.directory(["backup", "webapps"], 1, "shop") == {_known("weak", _webapps)}
}

test_a_folder_says_nothing if {
	roots.directory(["opt", "webapps"], 0, "shop") == set()
	roots.directory(["opt", "webapps"], 1, "busybox") == set()
	roots.directory(["opt", "webapps", "a", "logs"], 1, "shop") == set()
	roots.directory(["opt", "html", "a"], 1, "shop") == set()
}

_html := "/usr/share/nginx/html holds the pages of nginx"

_webapps := "a folder called webapps holds web applications"

_known(grade, text) := {"grade": grade, "text": text}
