package policies.lib.servers_test

import data.policies.lib.servers

test_an_image_is_a_server_by_its_name if {
	servers.of("nginx") == {"nginx"}
	servers.of("nginx-slim") == {"nginx"}
	servers.of("docker-airflow") == {"airflow"}
	servers.of("php7.3-tracer") == {"php"}
	servers.of("acme_mytomcat9") == {"tomcat"}
	servers.of("nginx-php") == {"nginx", "php"}
	servers.of("kubenginxapp1") == {"nginx"}
}

test_a_mix_of_code_and_data_goes_first if {
	servers.of("wordpress-php") == {"wordpress"}
}

test_another_image_is_no_server if {
	every image in {"shop", "morphphase", ""} {
		servers.of(image) == set()
	}
}
