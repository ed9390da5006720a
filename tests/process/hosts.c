/* getaddrinfo(3) of a test's server, loaded before the C library's: names are those of the file $TEST_HOSTS,
   "NAME ADDRESS" a line.
 * Other names have no address: nothing is asked of a network. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    look_up *system = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *path = getenv("TEST_HOSTS");
    FILE *hosts = path ? fopen(path, "r") : NULL;
    char name[256], address[64];
    int is_known = 0;
    while (hosts && !is_known && fscanf(hosts, "%255s %63s", name, address) == 2)
        is_known = strcmp(name, node) == 0;
    if (hosts)
        fclose(hosts);
    return is_known ? system(address, service, hints, found) : EAI_NONAME;
}
