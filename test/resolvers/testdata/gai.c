/* gai NAME [4|6]: looks a name up with the C library's getaddrinfo and prints
 * its addresses, one a line, or "notfound", "again" or "failed". */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifndef EAI_NODATA
#define EAI_NODATA -5
#endif
#ifndef EAI_ADDRFAMILY
#define EAI_ADDRFAMILY -9
#endif

int main(int argc, char **argv)
{
	struct addrinfo hints, *list;
	char text[INET6_ADDRSTRLEN];

	if (argc < 2)
		return 2;
	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	if (argc > 2)
		hints.ai_family = argv[2][0] == '4' ? AF_INET : AF_INET6;
	switch (getaddrinfo(argv[1], NULL, &hints, &list)) {
	case 0:
		break;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		puts("notfound");
		return 0;
	case EAI_AGAIN:
		puts("again");
		return 0;
	default:
		puts("failed");
		return 0;
	}
	for (; list; list = list->ai_next) {
		getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
		puts(text);
	}
	return 0;
}
