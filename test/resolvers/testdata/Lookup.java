// java Lookup.java NAME [4|6]: as gai.c, with Java's InetAddress.
import java.net.*;

class Lookup {
    public static void main(String[] args) {
        try {
            boolean found = false;
            for (InetAddress a : InetAddress.getAllByName(args[0])) {
                boolean six = a instanceof Inet6Address;
                if (args.length < 2 || six == args[1].equals("6")) {
                    found = true;
                    System.out.println(a.getHostAddress());
                }
            }
            if (!found) System.out.println("notfound");
        } catch (UnknownHostException e) {
            System.out.println(e.getMessage().contains("emporary") ? "again" : "notfound");
        }
    }
}
