import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;

/**
 * SearchServer HOME [SETTING=VALUE]...: one OpenSearch node, with its modules on the class path, that serves until it is terminated.
 * The same source is compiled against 2.x and 3.x.
 */
public final class SearchServer extends Node {
    /** The modules' plugin classes; their names end with "Plugin" in 2.x and with "ModulePlugin" in 3.x. */
    private static final List<String> MODULES = List.of(
            "transport.Netty4", "index.reindex.Reindex", "analysis.common.CommonAnalysis", "ingest.common.IngestCommon",
            "painless.Painless", "script.mustache.Mustache", "index.mapper.MapperExtras");
    private static final boolean DESCRIBED = Version.CURRENT.major >= 3;

    /** A raw collection, because 2.x takes the plugins' classes and 3.x takes descriptions of them. */
    @SuppressWarnings({"rawtypes", "unchecked"})
    private SearchServer(Environment environment, Collection plugins) {
        super(environment, plugins, false);
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 0) {
            throw new IllegalArgumentException("usage: SearchServer HOME [SETTING=VALUE]...");
        }
        Path home = Path.of(args[0]);
        Files.createDirectories(home.resolve("config"));
        Files.createDirectories(home.resolve("data"));
        Node node = new SearchServer(new Environment(settings(home, args), home.resolve("config")), plugins());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        Thread.currentThread().join();
    }

    private static Settings settings(Path home, String[] args) {
        Settings.Builder settings = Settings.builder().put("path.home", home.toString());
        for (int i = 1; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        return settings.build();
    }

    private static List<Object> plugins() throws ClassNotFoundException {
        List<Object> plugins = new ArrayList<>();
        for (String module : MODULES) {
            String name = "org.opensearch." + module + (DESCRIBED ? "ModulePlugin" : "Plugin");
            plugins.add(DESCRIBED ? describe(name) : Class.forName(name));
        }
        return plugins;
    }

    private static PluginInfo describe(String name) {
        return new PluginInfo(name, "on the class path", "none", Version.CURRENT, "17", name, null, List.of(), false);
    }

    private static void close(Node node) {
        try {
            node.close();
        } catch (Exception e) {
            e.printStackTrace();
        }
    }
}
