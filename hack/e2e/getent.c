/* getent hosts NAME...: looks names up with the C library that it is linked
 * with. Built with musl, it resolves as programs in Alpine images do. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	int status = 0;

	if (argc < 3 || strcmp(argv[1], "hosts") != 0) {
		fprintf(stderr, "usage: getent hosts NAME...\n");
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		char text[INET6_ADDRSTRLEN];
		struct hostent *host = gethostbyname2(argv[i], AF_INET6);

		if (!host)
			host = gethostbyname2(argv[i], AF_INET);
		if (!host) {
			status = 2;
			continue;
		}
		for (char **addr = host->h_addr_list; *addr; addr++) {
			inet_ntop(host->h_addrtype, *addr, text, sizeof text);
			printf("%s  %s\n", text, host->h_name);
		}
	}
	return status;
}
