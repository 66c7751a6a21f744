// A static program that speaks TCP and UDP by addresses alone: what busybox does it links to a resolver that a test's root lacks.
//   talk get ADDRESS PORT      prints the body of what HTTP answers; or the error
//   talk listen PORT           takes connections and writes "hello" into each, for ever; prints "listening" first
//   talk wait PORT             connects to itself and closes: the port waits for its end. Prints "waiting"
//   talk send ADDRESS PORT     sends a datagram from the same port
//   talk hear PORT             prints the datagrams that come within a second, a line each
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct sockaddr_in place(const char *address, const char *port) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr = {inet_addr(address)}};
}

static int fail(void) {
  puts(strerror(errno));
  return 1;
}

static int open_to(const char *address, const char *port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct timeval patience = {.tv_sec = 1};
  struct sockaddr_in to = place(address, port);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ? -1 : fd;
}

static int get(const char *address, const char *port) {
  static const char question[] = "GET / HTTP/1.0\r\n\r\n";
  char answer[4096];
  size_t length = 0;
  int fd = open_to(address, port);
  if (fd < 0) return fail();
  if (write(fd, question, sizeof question - 1) < 0) return fail();
  for (ssize_t got; length < sizeof answer - 1 && (got = read(fd, answer + length, sizeof answer - 1 - length)) > 0;) length += (size_t)got;
  answer[length] = '\0';
  const char *body = strstr(answer, "\r\n\r\n");
  fputs(body ? body + 4 : answer, stdout);
  return 0;
}

// Without SO_REUSEADDR: a port that waits for its end is refused.
static int open_listening(const char *port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = place("0.0.0.0", port);
  return bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 8) < 0 ? -1 : fd;
}

static int serve(const char *port) {
  int fd = open_listening(port);
  if (fd < 0) return fail();
  puts("listening");
  fflush(stdout);
  for (;;) {
    int connection = accept(fd, NULL, NULL);
    if (write(connection, "hello", 5) < 0) return fail();
    close(connection);
  }
}

static int leave_waiting(const char *port) {
  int fd = open_listening(port);
  if (fd < 0) return fail();
  int client = open_to("127.0.0.1", port);
  int server = accept(fd, NULL, NULL);
  if (client < 0 || server < 0) return fail();
  // Who closes first is the one that waits.
  close(server);
  close(client);
  puts("waiting");
  return 0;
}

static int open_datagrams(const char *port) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct timeval patience = {.tv_sec = 1};
  struct sockaddr_in at = place("0.0.0.0", port);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ? -1 : fd;
}

static int send_datagram(const char *address, const char *port) {
  struct sockaddr_in to = place(address, port);
  int fd = open_datagrams(port);
  if (fd < 0 || sendto(fd, "question", 8, 0, (struct sockaddr *)&to, sizeof to) < 0) return fail();
  puts("sent");
  return 0;
}

static int hear(const char *port) {
  char text[64];
  int fd = open_datagrams(port);
  if (fd < 0) return fail();
  puts("hearing");
  for (ssize_t got; (got = recv(fd, text, sizeof text, 0)) >= 0;) printf("%.*s\n", (int)got, text);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 4 && !strcmp(argv[1], "get")) return get(argv[2], argv[3]);
  if (argc == 3 && !strcmp(argv[1], "listen")) return serve(argv[2]);
  if (argc == 3 && !strcmp(argv[1], "wait")) return leave_waiting(argv[2]);
  if (argc == 4 && !strcmp(argv[1], "send")) return send_datagram(argv[2], argv[3]);
  if (argc == 3 && !strcmp(argv[1], "hear")) return hear(argv[2]);
  return 64;
}
